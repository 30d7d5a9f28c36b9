package import JobWorker

/// A long list as a file holds it: a JSON value a line.
@MainActor
package enum ItemList {
    /// - Parameter argument: `@FILE`, or `-` for standard input.
    /// - Throws: `Complaint`, which names the line.
    package static func read(_ argument: String) throws -> [JSONText] {
        let text = try TextArgument.read(argument, limit: WorkflowFile.bytesMax)
        var items: [JSONText] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard line.utf8.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
            if let problem = JSONMembers.problem(String(line)) {
                throw Complaint(.usage, "line \(index + 1) of the list \(problem)")
            }
            items.append(JSONText(String(line)))
        }
        guard !items.isEmpty else {
            throw Complaint(.usage, "the list is empty", advice: "It holds a JSON value a line.")
        }
        return items
    }

    /// The members of an object, as every payload gets them.
    /// - Throws: `Complaint`.
    package static func members(of argument: String) throws -> [(name: String, value: JSONText)] {
        let text = try TextArgument.read(argument, limit: JobDraft.payloadBytesMax)
        if let problem = JSONMembers.problem(text) { throw Complaint(.usage, "the payload \(problem)") }
        guard let object = JSONMembers.split(text) else { throw Complaint(.usage, "the payload must be an object") }
        for taken in ["items", "chunk", "chunks", "results"] where object[taken] != nil {
            throw Complaint(.usage, "'\(taken)' in the payload is written by the split itself")
        }
        return object.sorted { $0.key < $1.key }.map { ($0.key, JSONText($0.value)) }
    }
}
