import ArgumentParser
import Hummingbird
import Logging

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A program that answers like Apollo.io's API, for development and tests. It holds no state but counts.
@main
struct ApolloStandin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apollo-standin",
        abstract: "Answers like Apollo.io's API, with invented companies and people.",
        discussion: """
            Prints "listening on http://HOST:PORT" when it is ready, and ends on SIGTERM or SIGINT.

            Routes, each also under /v1/…:
              GET, POST /api/v1/organizations/enrich   parameter domain
              POST      /api/v1/people/match           email, linkedin_url, first_name, last_name, name, domain
              GET       /api/v1/auth/health            whether the key is known
              GET       /standin/requests              what was asked so far, as JSON; never a whole key
              POST      /standin/reset                 forgets counts, limits and what was already failed

            Keys, in X-Api-Key or as a bearer token:
              good…        valid; every such key has its own rate limits
              forbidden…   403: the plan lacks the endpoint
              broke…       402: no credits left
              other, none  401, plain text; a key in query or body: 422

            Answers are chosen by the domain; for people by the domain of the e-mail address, else by the last
            part of the LinkedIn address, else by the parameter domain. "job7.flaky.test" is answered as
            "flaky.test", with a count of its own.
              nordlicht.example.com          everything filled in (marit.oehlen@…, linkedin marit-oehlen)
              sparse.example.org             nulls, empty texts, an unknown country
              ines@…, linkedin ines-example  a person without employer, with a placeholder e-mail address
              *.example.com|org|net          invented from the name, always the same
              nobody.test                    no match, {"organization": null}
              unknown-…                      no match, {}; so is any name not listed here
              hollow.test, null.test         no match, {"organization": {}} and null
              error500.test, error-NNN.test  that status
              echo-NNN.test                  that status, with a text that quotes the request and the key
              slow.test, slow-N.test         answers after 60 s, after N s
              html.test, badjson.test        200 with a web page, 200 with half a document
              huge.test                      200 with 50 MB
              reset.test                     closes the connection without an answer
              limit.test, limit-hour.test    429 naming the minute; the hour, with Retry-After: 1800
              retry-after-N.test             429 with Retry-After: N at the first request, then a match
              flaky.test, flaky-N.test       500 at the first request, at the first N, then a match
              other *.test                   invented from the name
            """)

    @Option(help: "Address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen on; 0 takes a free one.")
    var port = 0

    @Option(help: "Milliseconds before each answer.")
    var latencyMs = 0

    @Option(help: "Requests a key may make in a minute; 0 sets no limit.")
    var perMinute = 0

    @Option(help: "Requests a key may make in an hour; 0 sets no limit.")
    var perHour = 0

    @Flag(help: "Writes a line for each request to stderr.")
    var log = false

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard latencyMs >= 0, perMinute >= 0, perHour >= 0 else {
            throw ValidationError("--latency-ms, --per-minute and --per-hour can't be negative")
        }
    }

    func run() async throws {
        // Nothing is worth waiting for: a slow answer must not delay the end of a test.
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }

        var logger = Logger(label: "apollo-standin", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = log ? .info : .critical
        let responder = StandinResponder(
            book: RequestBook(limits: [.minute: perMinute, .hour: perHour]),
            latency: .milliseconds(latencyMs))
        let host = host
        let application = Application(
            responder: responder,
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                print("listening on http://\(host.contains(":") ? "[\(host)]" : host):\(port)")
                fflush(nil)
            },
            logger: logger)
        try await application.run()
    }
}
