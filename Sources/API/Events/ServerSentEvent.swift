/// One event as browsers read it: https://html.spec.whatwg.org/multipage/server-sent-events.html
struct ServerSentEvent: Sendable {
    let name: String
    /// JSON.
    let data: String

    /// A comment, which nobody is told of; it shows both sides that the connection lives.
    static let keepAlive = ": still here\n\n"

    var text: String {
        let lines = data.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
        return "event: \(name)\n" + lines.map { "data: \($0)\n" }.joined() + "\n"
    }
}
