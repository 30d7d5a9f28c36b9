import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres

/// Which jobs a request means, by parameters of its query or by the object `filter` of its body.
enum JobSelection {
    static let parameters: [Parameter] = [
        Parameter("workspace_id", Schema(.uuid), "Jobs of this workspace."),
        Parameter("status", .status, "Jobs in one of these states.", isList: true),
        Parameter("job_type", .jobType, "Jobs of one of these types.", isList: true),
        Parameter("job_queue", .jobQueue, "Jobs in one of these queues.", isList: true),
        Parameter("priority", Schema(.whole(-10...10)), "Jobs of this priority."),
        Parameter("worker_id", Schema(.text(1...100, isOneLine: true)), "Jobs that this worker runs, or ran last."),
        Parameter("unique_key", Schema(.text(1...255, isOneLine: true)), "Jobs with this unique key."),
        Parameter("since", Schema(.moment), "Added at this time or later."),
        Parameter("until", Schema(.moment), "Added before this time."),
        Parameter(
            "q", Schema(.text(1...200, isOneLine: true)),
            "Part of the error message, or the start of the id; upper and lower case are the same."),
        Parameter("error_group", .errorGroup, "Failed or set-aside jobs with errors of this group."),
    ]

    /// The same for a body.
    static let schema = Schema(
        .object(
            parameters.map { parameter in
                let single = parameter.schema
                return .init(
                    parameter.name,
                    (parameter.isList ? Schema(.either([single, Schema(.list(single, 1...100))])) : single)
                        .noted(parameter.note))
            }, isOpen: false, mayBeEmpty: false))

    static func filter(_ request: APIRequest) throws(APIError) -> JobFilter {
        var filter = JobFilter()
        filter.workspaceID = try request.uuid("workspace_id")
        filter.statuses = try request.list("status").compactMap { JobStatus(rawValue: $0) }
        filter.types = try request.list("job_type")
        filter.queues = try request.list("job_queue")
        filter.priority = try request.text("priority").flatMap { Int($0) }
        filter.workerID = try request.text("worker_id")
        filter.uniqueKey = try request.text("unique_key")
        filter.since = try request.text("since").flatMap { Timestamp(text: $0) }
        filter.until = try request.text("until").flatMap { Timestamp(text: $0) }
        filter.search = try request.text("q")
        filter.errorGroup = try request.text("error_group")
        return filter
    }

    /// - Parameter document: Of the form of `schema`.
    static func filter(_ document: JSONNode) -> JobFilter {
        func words(_ name: String) -> [String] {
            document[name].map { node in node.elements?.compactMap(\.string) ?? node.string.map { [$0] } ?? [] } ?? []
        }
        var filter = JobFilter()
        filter.workspaceID = document["workspace_id"]?.string.flatMap { UUID(uuidString: $0) }
        filter.statuses = words("status").compactMap { JobStatus(rawValue: $0) }
        filter.types = words("job_type")
        filter.queues = words("job_queue")
        filter.priority = document["priority"]?.whole
        filter.workerID = document["worker_id"]?.string
        filter.uniqueKey = document["unique_key"]?.string
        filter.since = document["since"]?.string.flatMap { Timestamp(text: $0) }
        filter.until = document["until"]?.string.flatMap { Timestamp(text: $0) }
        filter.search = document["q"]?.string
        filter.errorGroup = document["error_group"]?.string
        return filter
    }
}
