import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore
import Postgres
import Tokens

/// The frame around every page.
struct Layout: Sendable {
    /// Who looks; `nil` where nobody is signed in.
    let session: Session?
    /// The page's address without its query, to mark its link.
    let path: String
    /// `nil` where no page could be made.
    var visit: Visit?

    private static let links: [(path: String, title: String, key: String, isForOperators: Bool)] = [
        ("/dashboard", "Overview", "o", false), ("/dashboard/jobs", "Jobs", "j", false),
        ("/dashboard/dead-letters", "Dead letters", "d", false),
        ("/dashboard/operations", "Operations", "p", false), ("/dashboard/workflows", "Workflows", "w", false),
        ("/dashboard/schedules", "Schedules", "s", false), ("/dashboard/queues", "Queues", "q", true),
        ("/dashboard/workers", "Workers", "k", true), ("/dashboard/webhooks", "Webhooks", "e", false),
        ("/dashboard/audit", "Audit", "a", false), ("/dashboard/health", "Health", "h", true),
        ("/dashboard/settings", "Settings", "t", true),
    ]
    /// Pages that one workspace's part can be seen of.
    private static let workspacePages: Set = [
        "/dashboard", "/dashboard/jobs", "/dashboard/dead-letters", "/dashboard/workflows", "/dashboard/schedules",
        "/dashboard/webhooks", "/dashboard/audit",
    ]

    private var isOperator: Bool {
        if case .operator = session?.caller { true } else { false }
    }

    private var visibleLinks: [(path: String, title: String, key: String, isForOperators: Bool)] {
        Self.links.filter { isOperator || !$0.isForOperators }
    }

    private var who: String {
        switch session?.caller {
        case .operator(let name): name.map { "operator \($0)" } ?? "operator"
        case .member(let member): "member \(String(member.userID.uuidString.lowercased().prefix(8)))"
        case .anonymous, nil: ""
        }
    }

    /// - Parameters:
    ///   - events: Where changes come from that the page is to follow.
    ///   - seconds: How often the page is read again besides.
    ///   - body: What stands in `main`.
    func page(
        _ title: String, events: String? = nil, every seconds: Int? = nil, _ body: HTML,
        status: HTTPResponse.Status = .ok
    ) -> Response {
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
            \(head)<body data-now=\"\(Timestamp.now.text(fractionDigits: 3))\"\(session == nil ? " class=\"alone\"" : HTML.nothing)\(events.map { " data-events=\"\($0)\"" } ?? HTML.nothing)\(seconds.map { " data-every=\"\($0)\"" } ?? HTML.nothing)>
            <a class="skip" href="#main">Skip to the content</a>
            \(header)\(session == nil ? HTML.nothing : navigation)
            <main id="main" tabindex="-1"><h1>\(title)</h1>\(body)</main>
            <p class="quiet" id="announcements" role="status" aria-live="polite"></p>
            \(session == nil ? HTML.nothing : help)
            </body></html>
            """
        return Self.response(document, status: status)
    }

    private var header: HTML {
        guard let session else { return "<header><strong class=\"mark\">jobworker</strong></header>" }
        return """
            <header><a class="mark" href="/dashboard">jobworker</a>
            \(workspaceChoice)
            <form role="search" action="/dashboard/jobs" class="search"><label class="quiet" for="search">Search jobs by error or id</label>
            <input id="search" name="q" type="search" placeholder="Search: error or id" maxlength="200"></form>
            <span id="live" class="live" data-state="off">not live</span>
            <button type="button" id="theme" hidden>Theme</button>
            <form method="post" action="/dashboard/sign-out" class="out">\(Self.formToken(session))
            <span class="who">\(who)</span> <button>Sign out</button></form></header>
            """
    }

    /// Which workspace is looked at alone, where there is a choice.
    private var workspaceChoice: HTML {
        guard let visit, Self.workspacePages.contains(path), visit.workspaces.count > 1 || visit.workspace != nil else {
            return ""
        }
        let options = visit.workspaces.map { "<option value=\"\($0.name)\"></option>" as HTML }
        let all: HTML =
            visit.workspace == nil ? "" : "<a class=\"button\" href=\"\(path)\">All</a>"
        return """
            <form action="\(path)" class="workspace"><label for="workspace">Workspace</label>
            <input id="workspace" name="workspace_id" list="workspaces" value="\(visit.workspace?.name ?? "")" placeholder="all" maxlength="200" autocomplete="off">
            <datalist id="workspaces">\(options)</datalist><button>Show</button>\(all)</form>
            """
    }

    private var navigation: HTML {
        let kept = visit?.workspaceQuery ?? ""
        let links = visibleLinks.map { link -> HTML in
            let current: HTML = link.path == path ? " aria-current=\"page\"" : ""
            let query = !kept.isEmpty && Self.workspacePages.contains(link.path) ? "?\(kept)" : ""
            return "<li><a href=\"\(link.path)\(query)\" data-key=\"\(link.key)\"\(current)>\(link.title)</a></li>"
        }
        return """
            <nav class="side" aria-label="Pages"><details id="pages" open><summary>Pages</summary><ul>\(links)</ul></details></nav>
            """
    }

    private var help: HTML {
        let rows = visibleLinks.map { link -> HTML in
            "<tr><td><kbd>g</kbd> <kbd>\(link.key)</kbd></td><td>\(link.title)</td></tr>"
        }
        let keys = [
            ("/", "Search"), ("j", "Next row"), ("k", "Previous row"), ("Enter", "Open the row"),
            ("x", "Choose the row"), ("[", "Back"), ("]", "Older entries"), ("y", "Copy the job's id"),
            ("e", "Edit the payload, to replay it"), (".", "Pause live changes"), ("?", "This list"),
        ].map { "<tr><td><kbd>\($0.0)</kbd></td><td>\($0.1)</td></tr>" as HTML }
        return """
            <dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2>
            <div class="columns"><table><caption class="quiet">Keys that lead to pages</caption><tbody>\(rows)</tbody></table>
            <table><caption class="quiet">Keys on a page</caption><tbody>\(keys)</tbody></table></div>
            <p><label><input type="checkbox" id="keys-off"> No keys of a single letter</label></p>
            <form method="dialog"><button>Close</button></form></dialog>
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
