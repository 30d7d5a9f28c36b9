package import API
package import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import NIOCore
import Postgres

/// The pages for people: plain HTML made here, with a small script that keeps it live.
///
/// Pages and forms ask the routes of the API, from within the process and with the rights of whoever is signed in: what
/// a page shows and does, a program may see and do as well, and no rule stands twice.
package struct Dashboard: Sendable {
    /// A setting as the page of settings shows it.
    package struct Setting: Sendable {
        let name: String
        let value: String
        let origin: String
        let isDefault: Bool
        let help: String

        /// - Parameter value: Of a secret never the value.
        package init(name: String, value: String, origin: String, isDefault: Bool, help: String) {
            self.name = name
            self.value = value
            self.origin = origin
            self.isDefault = isDefault
            self.help = help
        }
    }

    private let parts: Parts
    private let authentication: Authentication
    private let sessions: SessionStore
    private let gate = RequestGate(limit: 32)

    static let cookieName = "jobworker_session"

    /// - Parameters:
    ///   - api: Every route that pages may ask.
    ///   - hub: Hears of changes while pages are open.
    ///   - settings: Those that hold now.
    package init(
        api: [Route], database: APIDatabase, hub: EventHub, authentication: Authentication,
        settings: @escaping @Sendable () async -> [Setting] = { [] }
    ) {
        parts = Parts(api: RouteTable(api), database: database, hub: hub, settings: settings)
        self.authentication = authentication
        sessions = SessionStore(database: database.asWorker)
    }

    package var routes: [Route] { pages + forms + streams + entrance }

    private var pages: [Route] {
        [
            page("/dashboard", "The overview.") { try await OverviewPage(visit: $0).response() },
            page("/dashboard/jobs", "Jobs.") { try await JobsPage(visit: $0).response() },
            page("/dashboard/jobs/{id}", "A job.") { try await JobPage(visit: $0).response() },
            page("/dashboard/dead-letters", "Failed jobs by error.") { try await DeadLetterPages(visit: $0).groups() },
            page("/dashboard/dead-letters/{group}", "Failed jobs with one error.", [Self.word("group")]) {
                try await DeadLetterPages(visit: $0).group()
            },
            page("/dashboard/operations", "Operations.") { try await OperationPages(visit: $0).list() },
            page("/dashboard/operations/{id}", "An operation.") { try await OperationPages(visit: $0).show() },
            page("/dashboard/workflows", "Workflows.") { try await WorkflowPages(visit: $0).list() },
            page("/dashboard/workflows/{id}", "A workflow.") { try await WorkflowPages(visit: $0).show() },
            page("/dashboard/schedules", "Schedules.") { try await SchedulesPage(visit: $0).response() },
            page("/dashboard/queues", "Queues.") { try await QueuesPage(visit: $0).response() },
            page("/dashboard/workers", "Workers.") { try await WorkersPage(visit: $0).response() },
            page("/dashboard/webhooks", "Webhooks.") { try await WebhookPages(visit: $0).list() },
            page("/dashboard/webhooks/{id}", "A webhook.") { try await WebhookPages(visit: $0).show() },
            page("/dashboard/audit", "Who did what.") { try await AuditPage(visit: $0).response() },
            page("/dashboard/health", "How this worker is.") { try await ThisWorkerPages(visit: $0).health() },
            page("/dashboard/settings", "What is set.") { try await ThisWorkerPages(visit: $0).settings() },
        ]
    }

    private var forms: [Route] {
        let action = Self.word("action")
        return [
            form("/dashboard/jobs/bulk", "Changes many jobs.") { try await JobsPage(visit: $0).change($1) },
            form("/dashboard/jobs/{id}/{action}", "Changes a job.", [action]) {
                try await JobPage(visit: $0).change($1)
            },
            form("/dashboard/dead-letters/{group}/change", "Changes failed jobs.", [Self.word("group")]) {
                try await DeadLetterPages(visit: $0).change($1)
            },
            form("/dashboard/operations/{id}/{action}", "Steers an operation.", [action]) { visit, _ in
                try await OperationPages(visit: visit).change()
            },
            form("/dashboard/workflows/{id}/{action}", "Changes a workflow.", [action]) { visit, _ in
                try await WorkflowPages(visit: visit).change()
            },
            form("/dashboard/queues/{name}/{action}", "Changes a queue.", [Self.word("name"), action]) {
                try await QueuesPage(visit: $0).changeQueue($1)
            },
            form("/dashboard/limits/{action}", "Changes a limit.", [action]) {
                try await QueuesPage(visit: $0).changeLimit($1)
            },
            form("/dashboard/schedules/{id}/{action}", "Changes a schedule.", [action]) { visit, _ in
                try await SchedulesPage(visit: visit).change()
            },
            form("/dashboard/webhooks", "Adds a webhook.") { try await WebhookPages(visit: $0).add($1) },
            form("/dashboard/webhooks/{id}/{action}", "Changes a webhook.", [action]) {
                try await WebhookPages(visit: $0).change($1)
            },
            form("/dashboard/sign-out", "Ends the session.") { visit, _ in
                try await sessions.end(visit.cookie)
                return Layout.redirect(
                    "/dashboard/sign-in",
                    cookie: "\(Self.cookieName)=; Path=/dashboard; HttpOnly; SameSite=Strict; Max-Age=0")
            },
        ]
    }

    private var streams: [Route] {
        [
            page("/dashboard/events", "Changes of jobs.") { visit in
                whileSignedIn(
                    visit,
                    try await visit.parts.api.call(
                        .get, "/api/events", query: visit.workspaceQuery, as: visit.session.caller, via: .dashboard))
            },
            page("/dashboard/events/{id}", "Changes of a job.") { visit in
                whileSignedIn(
                    visit,
                    try await visit.parts.api.call(
                        .get, "/api/jobs/\(visit.parameter("id"))/events", as: visit.session.caller, via: .dashboard))
            },
        ]
    }

    private func whileSignedIn(_ visit: Visit, _ response: Response) -> Response {
        SessionStream(response: response) {
            if let mark = visit.session.mark, !authentication.knows(mark: mark) { return false }
            return try await sessions.isAlive(visit.cookie)
        }.bounded
    }

    private var entrance: [Route] {
        [
            Route(.get, "/dashboard/sign-in", access: .anyone, "Asks who it is.") { _ in
                Layout.guarded(signInPage(nil))
            },
            Route(.post, "/dashboard/sign-in", access: .anyone, "Begins a session.") { request in
                Layout.guarded(try await signIn(request))
            },
            asset("dashboard.css", "text/css; charset=utf-8", PackageResources.dashboard_css),
            asset("dashboard.js", "text/javascript; charset=utf-8", PackageResources.dashboard_js),
        ]
    }

    private static func word(_ name: String) -> Parameter {
        Parameter(name, in: .path, Schema(.text(1...100, isOneLine: true)), "Which one.")
    }

    // MARK: Who

    private func visit(_ request: APIRequest) async throws -> Visit {
        guard let cookie = Self.cookie(of: request), let session = try await sessions.find(cookie) else {
            throw PageError.signInFirst
        }
        if case .operator = session.caller, !authentication.knows(mark: session.mark ?? "") {
            try await sessions.end(cookie)
            throw PageError.signInFirst
        }
        return try await Visit(session: session, cookie: cookie, request: request, parts: parts)
    }

    private static func cookie(of request: APIRequest) -> String? {
        for value in request.headers[values: .cookie] {
            for part in value.split(separator: ";") {
                let pair = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if pair.count == 2, pair[0] == cookieName { return String(pair[1]) }
            }
        }
        return nil
    }

    /// Browsers send with every form where it comes from.
    static func isOwnOrigin(_ request: APIRequest) -> Bool {
        guard let name = HTTPField.Name("Origin"), let origin = request.headers[name],
            let authority = request.authority, let end = origin.firstRange(of: "://")?.upperBound
        else { return false }
        return origin[end...].lowercased() == authority.lowercased()
    }

    static func isLoopback(_ authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        return host == "localhost" || host == "[::1]" || host.hasPrefix("127.")
    }

    private func page(
        _ path: String, _ summary: String, _ parameters: [Parameter] = [],
        _ handler: @escaping @Sendable (Visit) async throws -> Response
    ) -> Route {
        Route(.get, path, access: .anyone, summary, parameters: parameters) { request in
            try await answer(request) { try await handler($0) }
        }
    }

    private func form(
        _ path: String, _ summary: String, _ parameters: [Parameter] = [],
        _ handler: @escaping @Sendable (Visit, Form) async throws -> Response
    ) -> Route {
        Route(.post, path, access: .anyone, summary, parameters: parameters) { request in
            try await answer(request) { visit in
                let form = try Form(request)
                guard Self.isOwnOrigin(request), form["form_token"] == visit.session.formToken else {
                    throw PageError.foreignForm
                }
                let response: Response
                do {
                    response = try await handler(visit, form)
                } catch {
                    // It may have changed something before.
                    await parts.forget()
                    throw error
                }
                await parts.forget()
                return response
            }
        }
    }

    /// - Throws: What nobody foresaw, to be logged as that of any route.
    private func answer(
        _ request: APIRequest, _ work: @Sendable (Visit) async throws -> Response
    ) async throws -> Response {
        var session: Session?
        do {
            return Layout.guarded(
                try await parts.database.translated {
                    try await gate.pass {
                        let visit = try await visit(request)
                        session = visit.session
                        return try await work(visit)
                    }
                })
        } catch PageError.signInFirst {
            return Layout.guarded(Layout.redirect("/dashboard/sign-in"))
        } catch PageError.foreignForm {
            return Self.problem(
                "This form is too old, or comes from elsewhere. Nothing was changed: go back, reload, and try again.",
                .forbidden, session)
        } catch let error as APIError {
            return Self.problem(error.message, error.status, session)
        } catch let error as PostgresError where error.isTransient {
            return Self.problem(
                "The database doesn't answer. This page works again when it does.", .serviceUnavailable, session)
        }
    }

    private static func problem(_ text: String, _ status: HTTPResponse.Status, _ session: Session?) -> Response {
        Layout.guarded(
            Layout(session: session, path: "").page(
                "Not possible",
                "<p class=\"problem\" role=\"alert\">\(text)</p><p><a href=\"/dashboard\">To the overview</a></p>",
                status: status))
    }

    // MARK: Signing in

    private func signInPage(_ problem: String?, status: HTTPResponse.Status = .ok) -> Response {
        let told: HTML = problem.map { "<p class=\"problem\" role=\"alert\">\($0)</p>" } ?? ""
        return Layout(session: nil, path: "").page(
            "Sign in",
            """
            \(told)<form method="post" action="/dashboard/sign-in" class="sign-in">
            <label for="token">Token of an operator, or of a member of a workspace</label>
            <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
            <button class="main">Sign in</button></form>
            """, status: status)
    }

    private func signIn(_ request: APIRequest) async throws -> Response {
        guard Self.isOwnOrigin(request) else {
            return signInPage("This form came from elsewhere. Try again here.", status: .forbidden)
        }
        let token = (try Form(request)["token"] ?? "").filter { !$0.isWhitespace }
        do {
            let caller = try authentication.caller(withToken: token)
            let cookie = try await sessions.begin(caller, mark: Authentication.mark(of: token))
            let secure = Self.isLoopback(request.authority ?? "") ? "" : "; Secure"
            return Layout.redirect(
                "/dashboard",
                cookie: "\(Self.cookieName)=\(cookie); Path=/dashboard; HttpOnly; SameSite=Strict\(secure)")
        } catch let error as APIError {
            let text = error.status == .unauthorized ? "This token lets nobody in." : error.message
            return signInPage(text, status: error.status)
        } catch {
            return signInPage("The database doesn't answer. Try again in a moment.", status: .serviceUnavailable)
        }
    }

    // MARK: Assets

    private func asset(_ name: String, _ type: String, _ bytes: [UInt8]) -> Route {
        let tag = "\"\(SessionStore.digest(String(decoding: bytes, as: UTF8.self)).prefix(16))\""
        return Route(.get, "/dashboard/assets/\(name)", access: .anyone, "A file of the pages.") { request in
            let headers: HTTPFields = [.contentType: type, .eTag: tag, .cacheControl: "no-cache"]
            if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
            return Layout.guarded(
                Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))))
        }
    }
}
