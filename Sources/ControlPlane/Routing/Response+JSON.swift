package import HTTPTypes
package import HummingbirdCore
import JobWorker
import NIOCore

extension Response {
    /// An answer that holds this document.
    package static func json(
        _ document: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) throws -> Response {
        json(try JSONText(encoding: document).text, status: status, headers: headers)
    }

    /// - Parameter text: JSON, sent as it is.
    static func json(_ text: String, status: HTTPResponse.Status, headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
