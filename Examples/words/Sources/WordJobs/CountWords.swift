import JobWorker

/// Counts the words of a text: {"text": "…"}.
public struct CountWords: TypedJobProcessor {
    public let jobType = "count_words"
    public struct Payload: Codable { var text: String }
    public struct Result: Codable { var words: Int }
    public init() {}

    public func process(_ payload: Payload, job: Job, context: JobContext) async throws -> Result {
        try await context.progress(50, "Counting")
        return Result(words: payload.text.split(whereSeparator: \.isWhitespace).count)
    }
}
