import HTTPTypes
import HummingbirdCore
import NIOCore

/// The figures of this process, for Prometheus.
package struct MetricsRoutes: Sendable {
    private let contentType: String
    private let text: @Sendable () async -> String

    /// - Parameter text: Writes all figures as they are now.
    package init(contentType: String, text: @escaping @Sendable () async -> String) {
        self.contentType = contentType
        self.text = text
    }

    package var routes: [Route] {
        [
            Route(
                .get, "/metrics", access: .anyoneOnSocket,
                "Figures in the text format of Prometheus; over TCP with the operator's token.",
                handler: metrics)
        ]
    }

    private func metrics(_ request: APIRequest) async throws -> Response {
        Response(
            status: .ok, headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: await text())))
    }
}
