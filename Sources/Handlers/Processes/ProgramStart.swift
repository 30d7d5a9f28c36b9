import CProcess
import Glibc

/// The pipes between the worker and a program.
struct Pipes {
    /// Of the program: 0, 1, 2, 3.
    private(set) var theirs: [Int32] = []
    private var own: [Int32] = []

    /// - Throws: Where descriptors are short.
    mutating func open() throws(LaunchFailure) {
        for place in 0..<4 {
            var ends: [Int32] = [-1, -1]
            guard cprocess_pipe(&ends) == 0 else {
                throw LaunchFailure(sentence: "pipe: \(String(cString: strerror(errno)))", isShortage: true)
            }
            theirs.append(place == 0 ? ends[0] : ends[1])
            own.append(place == 0 ? ends[1] : ends[0])
            if let last = own.last { _ = fcntl(last, F_SETFL, O_NONBLOCK) }
        }
    }

    /// The worker's ends, which the caller closes from now on.
    mutating func takeOwn() -> [ProcessLoop.Role: Int32] {
        defer { own = [] }
        return [.input: own[0], .output: own[1], .error: own[2], .channel: own[3]]
    }

    mutating func closeAll() {
        for descriptor in theirs + own { close(descriptor) }
        theirs = []
        own = []
    }
}

/// Turns a `Launch` into what C understands, for the time of the call.
struct ProgramStart {
    private let launch: Launch
    private let environment: [String]
    private let members: String?

    /// - Parameter members: `cgroup.procs` of the control group in which it starts; `nil` for the worker's own.
    init(_ launch: Launch, environment: [String: String], members: String?) {
        self.launch = launch
        self.members = members
        self.environment = environment.map { "\($0.key)=\($0.value)" }
    }

    func start(_ pipes: Pipes) throws(LaunchFailure) -> pid_t {
        var pid: pid_t = -1
        var step = CPROCESS_FORK
        let problem = withPlan(pipes) { plan in
            var plan = plan
            return cprocess_start(&plan, &pid, &step)
        }
        guard problem != 0 else { return pid }
        let reason = String(cString: strerror(problem))
        let program = launch.command.first ?? ""
        let isShortage = [EAGAIN, ENOMEM, EMFILE, ENFILE].contains(problem) && step != CPROCESS_LIMITS
        let sentence =
            switch step {
            case CPROCESS_FORK: "no process could be made: \(reason)"
            case CPROCESS_GROUP: "it could not be put into its control group: \(reason)"
            case CPROCESS_DESCRIPTORS: "its pipes could not be laid: \(reason)"
            case CPROCESS_LIMITS: "its limits could not be set: \(reason)"
            case CPROCESS_DIRECTORY: "its directory \(launch.directory) can't be entered: \(reason)"
            case CPROCESS_USER: "its user could not be set: \(reason)"
            default: "\(program) can't be run: \(reason)"
            }
        throw LaunchFailure(sentence: sentence, isShortage: isShortage)
    }

    private func withPlan(_ pipes: Pipes, _ body: (cprocess_plan) -> Int32) -> Int32 {
        withPointers(launch.command) { arguments in
            withPointers(environment) { variables in
                (launch.user?.groups ?? []).withUnsafeBufferPointer { groups in
                    launch.directory.withCString { directory in
                        var plan = cprocess_plan()
                        plan.path = UnsafePointer(arguments[0])
                        plan.arguments = arguments
                        plan.environment = variables
                        plan.directory = directory
                        (plan.input, plan.output) = (pipes.theirs[0], pipes.theirs[1])
                        (plan.error, plan.channel) = (pipes.theirs[2], pipes.theirs[3])
                        if let user = launch.user {
                            plan.sets_user = 1
                            (plan.user, plan.group) = (user.id, user.group)
                            (plan.groups, plan.group_count) = (groups.baseAddress, groups.count)
                        }
                        plan.memory = launch.limits.memoryBytes ?? 0
                        plan.cpu_seconds = launch.limits.cpuSeconds ?? 0
                        plan.files = launch.limits.openFiles ?? 0
                        guard let members else { return body(plan) }
                        return members.withCString { members in
                            plan.group_members = members
                            return body(plan)
                        }
                    }
                }
            }
        }
    }

    /// A list as C has it: ended by NULL.
    private func withPointers(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
    ) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeBufferPointer { list in
            guard let start = list.baseAddress else { return ENOMEM }
            return body(start)
        }
    }
}
