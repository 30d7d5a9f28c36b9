import Development
import FoundationEssentials
import Glibc
import HTTPClient
import Support

/// A real Prometheus on the loopback, which scrapes one worker every second.
final class PrometheusServer: Sendable {
    /// What an expression gives: the labels and the value of each series.
    struct Answer: Decodable {
        struct Problem: Error { let description: String }

        struct Data: Decodable {
            struct Series: Decodable { let metric: [String: String] }

            let resultType: String
            let result: [Series]
        }

        let status: String
        let error: String?
        let data: Data?
    }

    struct Rules: Decodable {
        struct Data: Decodable { let groups: [Group] }
        struct Group: Decodable { let rules: [Rule] }
        struct Rule: Decodable {
            let name: String
            let health: String
            let lastError: String?
        }

        let data: Data
    }

    private let directory: String
    private let address: String
    private let process: TiedProcess
    private let client = Client()

    /// - Parameters:
    ///   - target: Of the worker, `host:port`.
    ///   - rules: A file with rules.
    init(scraping target: String, token: String, rules: String) async throws {
        directory = "/tmp/jobworker-prometheus-\(getpid())-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // It can't tell which free port it took, so one that was free just now is named.
        address = "127.0.0.1:\(try StatsdReceiver(.udp()).port)"
        try token.write(toFile: directory + "/token", atomically: true, encoding: .utf8)
        let configuration = """
            global: { scrape_interval: 1s, evaluation_interval: 1s }
            rule_files: ["\(rules)"]
            scrape_configs:
              - job_name: jobworker
                authorization: { credentials_file: \(directory)/token }
                static_configs: [{ targets: ["\(target)"] }]
            """
        try configuration.write(toFile: directory + "/prometheus.yaml", atomically: true, encoding: .utf8)
        process = TiedProcess(
            [
                "prometheus", "--config.file=\(directory)/prometheus.yaml", "--storage.tsdb.path=\(directory)/data",
                "--web.listen-address=\(address)", "--log.level=warn",
            ], log: directory + "/log", orphaning: .init(removes: [directory]))
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func stop() async {
        process.send(.terminate)
        await process.ended()
        await client.shutdown()
    }

    func query(_ expression: String) async throws -> [[String: String]] {
        let response = try await client.send(
            Request(url: "http://\(address)/api/v1/query?\(encodeQuery([("query", expression)]))"))
        let answer = try JSONDecoder().decode(Answer.self, from: Data(response.body))
        guard answer.status == "success", let data = answer.data else {
            throw Answer.Problem(description: "\(expression): \(answer.error ?? "no data")")
        }
        return data.result.map(\.metric)
    }

    /// Waits until an expression gives something.
    func waitUntil(_ expression: String, atMost limit: Duration = .seconds(60)) async throws {
        let deadline = ContinuousClock.now + limit
        while ((try? await query(expression)) ?? []).isEmpty {
            guard ContinuousClock.now < deadline, !process.hasEnded else {
                let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
                throw Answer.Problem(description: "nothing came of \(expression); Prometheus says:\n\(log)")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    func rules() async throws -> [Rules.Rule] {
        let response = try await client.send(Request(url: "http://\(address)/api/v1/rules"))
        return try JSONDecoder().decode(Rules.self, from: Data(response.body)).data.groups.flatMap(\.rules)
    }
}
