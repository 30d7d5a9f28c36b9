import FoundationEssentials

/// The dashboard that is packaged, as far as tests look at it.
struct Dashboard: Decodable {
    struct Panel: Decodable {
        struct Target: Decodable {
            let expr: String
            let refId: String
        }

        let id: Int
        let type: String
        let title: String
        let targets: [Target]?
        let gridPos: Place
    }

    struct Place: Decodable {
        let x, y, w, h: Int
    }

    struct Templating: Decodable {
        struct Variable: Decodable { let name: String }

        let list: [Variable]
    }

    let uid: String
    let panels: [Panel]
    let templating: Templating

    static func load() throws -> Dashboard {
        let file = try Data(contentsOf: PackagedFile.url("packaging/grafana/jobworker.json"))
        return try JSONDecoder().decode(Dashboard.self, from: file)
    }

    /// An expression as Grafana sends it when everything is selected.
    static func expanded(_ expression: String) -> String {
        expression.replacing("$__rate_interval", with: "1m").replacing("$job", with: "jobworker")
            .replacing("$instance", with: ".*").replacing("$queue", with: ".*")
    }
}

/// A file of this repository.
enum PackagedFile {
    static func url(_ path: String) -> URL {
        (0..<4).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }.appending(path: path)
    }

    static func text(_ path: String) throws -> String { try String(contentsOf: url(path), encoding: .utf8) }
}
