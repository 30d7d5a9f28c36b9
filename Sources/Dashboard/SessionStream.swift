import HTTPTypes
import HummingbirdCore
import NIOCore

/// A response that goes on for long, and ends with the session that asked for it.
///
/// Looked at with what is sent: an event stream sends a comment every few seconds.
struct SessionStream: Sendable {
    let response: Response
    /// Between two looks.
    var interval = Duration.seconds(15)
    /// Whether the session goes on.
    let isAlive: @Sendable () async throws -> Bool

    var bounded: Response {
        var response = response
        let (body, isAlive, interval) = (response.body, isAlive, interval)
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            do {
                try await body.write(Writer(base: writer, isAlive: isAlive, interval: interval))
            } catch is SessionOver {
                // As a stream ends whose token has run out.
                try await writer.finish(nil)
            }
        }
        return response
    }

    private struct SessionOver: Error {}

    private struct Writer: ResponseBodyWriter {
        var base: any ResponseBodyWriter
        let isAlive: @Sendable () async throws -> Bool
        let interval: Duration
        var askedAt = ContinuousClock.now

        @concurrent mutating func write(_ buffer: ByteBuffer) async throws {
            if askedAt + interval < .now {
                // Where the database doesn't answer, nothing comes from it either.
                guard (try? await isAlive()) ?? true else { throw SessionOver() }
                askedAt = .now
            }
            try await base.write(buffer)
        }

        @concurrent consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
            try await base.finish(trailingHeaders)
        }
    }
}
