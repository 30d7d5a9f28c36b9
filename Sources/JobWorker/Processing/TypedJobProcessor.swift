/// Runs jobs of one type, with payload and result as values.
///
///     struct CountWords: TypedJobProcessor {
///         let jobType = "count_words"
///         struct Payload: Decodable { var text: String }
///         struct Result: Encodable { var words: Int }
///
///         func process(_ payload: Payload, job: Job, context: JobContext) async throws -> Result {
///             Result(words: payload.text.split(whereSeparator: \.isWhitespace).count)
///         }
///     }
///
/// A job whose payload isn't one fails for good before `process` is called, with a sentence that names the member.
public protocol TypedJobProcessor<Payload, Result>: JobProcessor {
    associatedtype Payload: Decodable
    /// `NoResult` where there is nothing to store.
    associatedtype Result: Encodable

    /// The value of `jobs.job_type` that is claimed for it.
    var jobType: String { get }

    /// Runs one attempt, as `JobProcessor` says.
    /// - Returns: The job's result, stored in `jobs.result` as JSON.
    func process(_ payload: Payload, job: Job, context: JobContext) async throws -> Result
}

extension TypedJobProcessor {
    public var jobTypes: [String] { [jobType] }

    public func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let payload: Payload
        do {
            payload = try job.payload.decode()
        } catch {
            throw PayloadMistake.failure(error)
        }
        let result = try await process(payload, job: job, context: context)
        if result is NoResult { return nil }
        return try JSONText(encoding: result)
    }
}

/// The result of a processor that stores none.
public struct NoResult: Encodable, Sendable {
    public init() {}
}

/// Says what is wrong with a payload by the names of its members; their values are the workspace's own.
enum PayloadMistake {
    static func failure(_ error: any Error) -> JobFailure {
        JobFailure.permanent("Invalid payload: \(sentence(error))", causes: ["\(type(of: error))"])
    }

    private static func sentence(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            "\(path(context.codingPath + [key])) is missing"
        case DecodingError.valueNotFound(_, let context):
            "\(path(context.codingPath)) is missing or null"
        case DecodingError.typeMismatch(_, let context):
            "\(path(context.codingPath)) has the wrong type"
        case DecodingError.dataCorrupted(let context):
            "\(path(context.codingPath)) can't be read"
        default:
            "it can't be read"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        guard !keys.isEmpty else { return "it" }
        var text = ""
        for key in keys {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += (text.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return "'\(text)'"
    }
}
