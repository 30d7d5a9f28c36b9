package import JobWorker

/// A value to put into payloads, as people type it.
@MainActor
package enum PayloadChange {
    /// - Parameter text: `path=value`: names with dots between them, then JSON, or text that is none.
    /// - Throws: `Complaint`.
    package static func read(_ text: String) throws -> OperationPlan.Change {
        guard let place = text.firstIndex(of: "=") else { throw bad(text) }
        let path = text[..<place].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard path.allSatisfy({ !$0.isEmpty }) else { throw bad(text) }
        let value = String(text[text.index(after: place)...])
        return .init(path: path, value: isJSON(value) ? JSONText(value) : try JSONText(encoding: value))
    }

    /// - Throws: `Complaint` where it is no JSON.
    package static func payload(_ argument: String) throws -> JSONText {
        let text = try TextArgument.read(argument, limit: JobDraft.payloadBytesMax)
        guard isJSON(text) else {
            throw Complaint(.usage, "the payload is no JSON", advice: "Quote it for the shell, or give @FILE.")
        }
        return JSONText(text)
    }

    private static func isJSON(_ text: String) -> Bool { (try? JSONText(text).decode(Anything.self)) != nil }

    /// Takes any value; the decoder has read the whole text by then.
    private struct Anything: Decodable {
        init(from decoder: any Decoder) {}
    }

    private static func bad(_ text: String) -> Complaint {
        Complaint(.usage, "'\(text)' is no path=value", advice: "As account.region='\"eu\"' or limit=5.")
    }
}
