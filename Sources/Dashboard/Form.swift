import ControlPlane
import NIOCore

/// What a form sent.
struct Form: Sendable {
    private let items: [(name: String, value: String)]

    init(_ request: APIRequest) throws(APIError) {
        items = try APIRequest.items(of: String(buffer: request.body))
    }

    subscript(name: String) -> String? { items.last { $0.name == name }?.value }

    func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }
}
