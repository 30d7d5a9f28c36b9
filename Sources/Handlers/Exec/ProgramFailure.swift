import Glibc
import JobWorker

/// What a program's end means, where it isn't success.
struct ProgramFailure {
    let failure: JobFailure

    /// - Parameter isKept: It should have answered and gone on.
    init(_ end: ProgramEnd, retryIn: Duration?, isKept: Bool = false) {
        let lines = end.errorTail.split(separator: UInt8(ascii: "\n")).suffix(500).map { LineSplitter.Line.text($0) }
        let last = lines.last { !$0.allSatisfy(\.isWhitespace) }.map { ": \($0.prefix(1000))" } ?? ""
        let causes = lines.isEmpty ? [] : ["Standard error:"] + lines
        switch end.status {
        case .exited(75) where retryIn != nil:
            failure = .snooze(for: retryIn ?? .seconds(1), "The program asks to be tried again later\(last)")
        case .exited(75): failure = .retryable("The program asks to be tried again\(last)", causes: causes)
        case .exited(65): failure = .permanent("The program says that trying again can't help\(last)", causes: causes)
        case .exited(let status):
            let how = isKept ? "ended with status \(status) without an answer" : "ended with status \(status)"
            failure = .retryable("The program \(how)\(last)", causes: causes)
        case .signalled(let signal):
            failure = .retryable("The program was ended by signal \(Self.name(signal))\(last)", causes: causes)
        case .unknown:
            failure = .retryable(
                "How the program ended is not known: another part of the worker's process has waited for it\(last)",
                causes: causes)
        case .notStarted(let problem) where problem.isShortage:
            // Not the job's fault: its attempt is given back.
            failure = .snooze(for: .seconds(5), "The program was not started: \(problem.sentence)")
        case .notStarted(let problem): failure = .retryable("The program was not started: \(problem.sentence)")
        }
    }

    private static func name(_ signal: Int32) -> String {
        let names: [Int32: String] = [
            SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGHUP: "SIGHUP", SIGILL: "SIGILL",
            SIGINT: "SIGINT",
            SIGKILL: "SIGKILL, as it is sent where memory runs out", SIGPIPE: "SIGPIPE", SIGQUIT: "SIGQUIT",
            SIGSEGV: "SIGSEGV", SIGSYS: "SIGSYS, after a system call that is forbidden", SIGTERM: "SIGTERM",
            SIGXCPU: "SIGXCPU, as its processor time was used up",
        ]
        return names[signal].map { "\(signal) (\($0))" } ?? "\(signal)"
    }
}
