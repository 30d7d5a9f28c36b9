import HTTPTypes
import JobWorker
import HummingbirdCore
import Logging
import NIOCore

/// Takes a request from the table to its answer.
struct RequestResponder: Sendable {
    let routes: RouteTable
    let authentication: Authentication
    let limits: HTTPLimits
    let gate: RequestGate
    let logger: Logger

    @concurrent @Sendable
    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let began = ContinuousClock.now
        var response = await answer(request, isOnSocket: channel.isOnUnixSocket)
        response.headers[.date] = HTTPDate.now.text
        response.headers[.cacheControl] = response.headers[.cacheControl] ?? "no-store"
        response.headers[.xContentTypeOptions] = "nosniff"
        if request.method == .head { response = response.createHeadResponse() }
        logger.debug(
            "answered",
            metadata: [
                "METHOD": "\(request.method)", "PATH": "\(request.uri.path)", "STATUS": "\(response.status.code)",
                "DURATION_MS": "\((ContinuousClock.now - began) / .milliseconds(1))",
            ])
        try await writer.write(response: response.head, body: response.body)
    }

    private func answer(_ request: Request, isOnSocket: Bool) async -> Response {
        do {
            switch routes.match(request.method, request.uri.path) {
            case .unknownPath: throw APIError.notFound
            case .otherMethods(let methods): throw APIError.methodNotAllowed(methods)
            case .route(let route, let parameters):
                let caller = try authentication.caller(
                    of: request.headers, for: route.access, isOnSocket: isOnSocket)
                let check = RequestCheck(route: route)
                let query = request.uri.query ?? ""
                try check.checkParameters(parameters, query: query, headers: request.headers)
                // Before the handler: what turns out to be no request at its end must have no effect.
                let body = try await body(of: request)
                let checked = APIRequest(
                    caller: caller, parameters: parameters, headers: request.headers, body: body,
                    document: try check.document(body, headers: request.headers), query: query,
                    authority: request.head.authority)
                guard route.access == .members else { return try await route.handler(checked) }
                return try await gate.pass { try await route.handler(checked) }
            }
        } catch let error as APIError {
            return error.response
        } catch is CancellationError {
            return APIError.stopping.response
        } catch {
            logger.log(
                .requestFailed,
                metadata: ["METHOD": "\(request.method)", "PATH": "\(request.uri.path)", "ERROR": "\(error)"])
            return APIError.internalError.response
        }
    }

    private func body(of request: Request) async throws(APIError) -> ByteBuffer {
        do {
            return try await request.body.collect(upTo: limits.bodyBytesMax)
        } catch RequestRefusal.bodyTooSlow {
            throw .bodyTooSlow
        } catch is RequestRefusal, is NIOTooManyBytesError {
            throw .bodyTooLarge(limit: limits.bodyBytesMax)
        } catch is CancellationError {
            throw .stopping
        } catch {
            // Not to be parsed, or the client is gone; then nobody reads the answer.
            throw .malformedRequest
        }
    }
}

extension Channel {
    fileprivate var isOnUnixSocket: Bool {
        if case .unixDomainSocket = localAddress { true } else { false }
    }
}
