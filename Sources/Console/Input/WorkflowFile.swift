package import FoundationEssentials
package import JobWorker

/// A workflow as a file describes it. What the jobs may be, the database decides.
package struct WorkflowFile: Sendable {
    package static let bytesMax = 256 << 20
    private static let members = ["workspace_id", "name", "jobs"]

    package let workspaceID: UUID
    package let name: String?
    /// The list of jobs as it stands there.
    package let jobs: JSONText

    /// - Parameter workspace: Where the file names none.
    /// - Throws: `Complaint`.
    package init(text: String, workspace: UUID?) throws {
        if let problem = JSONMembers.problem(text) { throw Complaint(.usage, "the file \(problem)") }
        guard let object = JSONMembers.split(text) else {
            throw Complaint(.usage, "the file must hold an object with workspace_id, name and jobs")
        }
        if let unknown = object.keys.filter({ !WorkflowFile.members.contains($0) }).min() {
            throw Complaint(.usage, "the file has the unknown field '\(unknown)'; it may have workspace_id, name, jobs")
        }
        guard let id = WorkflowFile.string(object["workspace_id"]).map({ UUID(uuidString: $0) }) ?? workspace else {
            throw Complaint(
                .usage, "no workspace is named", advice: "Put workspace_id into the file, or use --workspace.")
        }
        guard let list = object["jobs"], list.utf8.first == UInt8(ascii: "[") else {
            throw Complaint(.usage, "jobs must be a list")
        }
        workspaceID = id
        name = WorkflowFile.string(object["name"])
        jobs = JSONText(list)
    }

    private static func string(_ text: String?) -> String? {
        text.flatMap { try? JSONText($0).decode(JSONValue.self) }?.string
    }
}
