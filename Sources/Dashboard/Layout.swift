import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore
import Tokens

/// The frame around every page.
struct Layout: Sendable {
    /// Who looks; `nil` where nobody is signed in.
    let session: Session?
    /// The page's address without its query, to mark its link.
    let path: String

    private static let links: [(path: String, title: String, key: String, isForOperators: Bool)] = [
        ("/dashboard", "Overview", "o", false), ("/dashboard/jobs", "Jobs", "j", false),
        ("/dashboard/dead-letters", "Dead letters", "d", false), ("/dashboard/schedules", "Schedules", "s", false),
        ("/dashboard/queues", "Queues", "q", true), ("/dashboard/workers", "Workers", "k", true),
        ("/dashboard/audit", "Audit", "a", false), ("/dashboard/health", "Health", "h", true),
    ]

    private var isOperator: Bool {
        if case .operator = session?.caller { true } else { false }
    }

    private var who: String {
        switch session?.caller {
        case .operator(let name): "operator \(name ?? "without a name")"
        case .member(let member): "member \(String(member.userID.uuidString.lowercased().prefix(8)))"
        case .anonymous, nil: ""
        }
    }

    /// - Parameters:
    ///   - events: Where changes come from that the page is to follow.
    ///   - body: What stands in `main`.
    func page(_ title: String, events: String? = nil, _ body: HTML, status: HTTPResponse.Status = .ok) -> Response {
        let head: HTML = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(title) · jobworker</title>
            <link rel="icon" href="data:,">
            <link rel="stylesheet" href="/dashboard/assets/dashboard.css">
            <script type="module" src="/dashboard/assets/dashboard.js"></script></head>
            """
        let document: HTML = """
            \(head)<body\(events.map { " data-events=\"\($0)\"" } ?? HTML.nothing)>
            <a class="skip" href="#main">Skip to the content</a>
            \(header)
            <main id="main" tabindex="-1"><h1>\(title)</h1>\(body)</main>
            <p class="quiet" id="announcements" role="status" aria-live="polite"></p>
            \(session == nil ? HTML.nothing : help)
            </body></html>
            """
        return Self.response(document, status: status)
    }

    private var header: HTML {
        guard let session else { return "<header><strong class=\"mark\">jobworker</strong></header>" }
        let links = Self.links.filter { isOperator || !$0.isForOperators }.map { link -> HTML in
            let current: HTML = link.path == path ? " aria-current=\"page\"" : ""
            return "<li><a href=\"\(link.path)\" data-key=\"\(link.key)\"\(current)>\(link.title)</a></li>"
        }
        return """
            <header><strong class="mark">jobworker</strong>
            <nav aria-label="Pages"><ul>\(links)</ul></nav>
            <form role="search" action="/dashboard/jobs" class="search"><label class="quiet" for="search">Search jobs</label>
            <input id="search" name="q" type="search" placeholder="Error or id" maxlength="200"></form>
            <span id="live" class="live" data-state="off">not live</span>
            <button type="button" id="theme" hidden>Theme</button>
            <form method="post" action="/dashboard/sign-out">\(Self.formToken(session))
            <span class="who">\(who)</span> <button>Sign out</button></form></header>
            """
    }

    private var help: HTML {
        let rows = Self.links.filter { isOperator || !$0.isForOperators }.map { link -> HTML in
            "<tr><td><kbd>g</kbd> <kbd>\(link.key)</kbd></td><td>\(link.title)</td></tr>"
        }
        return """
            <dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2>
            <table><caption class="quiet">Keys and what they do</caption><tbody>\(rows)
            <tr><td><kbd>/</kbd></td><td>Search</td></tr><tr><td><kbd>j</kbd> <kbd>k</kbd></td><td>Next, previous row</td></tr>
            <tr><td><kbd>Enter</kbd></td><td>Open the row</td></tr><tr><td><kbd>x</kbd></td><td>Choose the row</td></tr>
            <tr><td><kbd>.</kbd></td><td>Pause live changes</td></tr><tr><td><kbd>?</kbd></td><td>This list</td></tr>
            </tbody></table><form method="dialog"><button>Close</button></form></dialog>
            """
    }

    static func formToken(_ session: Session) -> HTML {
        "<input type=\"hidden\" name=\"form_token\" value=\"\(session.formToken)\">"
    }

    static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
        form-action 'self'; frame-ancestors 'none'; base-uri 'none'
        """

    static func guarded(_ response: Response) -> Response {
        var response = response
        for (name, value) in [
            ("Content-Security-Policy", policy), ("Referrer-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            if let field = HTTPField.Name(name) { response.headers[field] = value }
        }
        return response
    }

    static func response(_ document: HTML, status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/html; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: document.text)))
    }

    /// After a form: the browser goes on there by GET.
    static func redirect(_ path: String, cookie: String? = nil) -> Response {
        var headers: HTTPFields = [.location: path]
        if let cookie { headers[.setCookie] = cookie }
        return Response(status: .seeOther, headers: headers)
    }
}

/// Why a page is not shown.
enum PageError: Error {
    case signInFirst
    case foreignForm
}
