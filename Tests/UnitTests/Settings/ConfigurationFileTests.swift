import Testing

@testable import Settings

struct ConfigurationFileTests {
    private let folder: SettingsFolder

    init() throws { folder = try SettingsFolder() }

    private func fileMistakes(_ text: String) throws -> [String] {
        let file = try folder.write(text, to: "config.yaml")
        return mistakes(Sources(environment: [:], file: file)).map {
            "\($0)".replacing("\(folder.path)/", with: "")
        }
    }

    @Test func `values are taken as they are written`() throws {
        let configuration = try folder.load(
            file: """
                worker_diagnostic_jobs: yes
                worker_max_concurrent: 007
                worker_env: "on"
                worker_region: 1.50
                worker_retry_jitter: '0.5'
                """)
        #expect(configuration[Catalog.diagnosticJobs])
        #expect(configuration[Catalog.maxConcurrent] == 7)
        #expect(configuration[Catalog.environment] == "on")
        #expect(configuration[Catalog.region] == "1.50")
        #expect(configuration[Catalog.retryJitter] == 0.5)
    }

    @Test func `a list may be a list`() throws {
        let configuration = try folder.load(
            file: """
                worker_queues:
                  - default
                  - mail:2
                worker_retention_days: [completed:30, failed:90]
                """)
        #expect(
            configuration[Catalog.queues] == [QueueSelection(name: "default"), .init(name: "mail", maxConcurrent: 2)])
        #expect(configuration[Catalog.retention] == RetentionDays(completed: 30, failed: 90))
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n", "~", "worker_region:\nworker_queues: ~\nworker_env: ''\n"])
    func `an empty file, and a key without a value, set nothing`(text: String) throws {
        let configuration = try folder.load(file: text)
        #expect(configuration.describe().allSatisfy { $0.origin == .default })
    }

    @Test func `an origin names the file and the line`() throws {
        let configuration = try folder.load(file: "# one\n\nworker_region: eu\nworker_env: test\n")
        let path = "\(folder.path)/config.yaml"
        #expect(configuration.origin(of: Catalog.region) == .file(path: path, line: 3))
        #expect(configuration.origin(of: Catalog.environment) == .file(path: path, line: 4))
    }

    @Test(arguments: [
        ("a: [", "config.yaml:2: is no YAML: did not find expected node content"),
        ("worker_region: eu\n\n@x: 1\n", "config.yaml:3: is no YAML: found character that cannot start any token"),
        ("just text", "config.yaml:1: must be a mapping of 'name: value' lines"),
        ("- worker_region", "config.yaml:1: must be a mapping of 'name: value' lines"),
        ("worker_env: a\n---\nworker_env: b\n", "config.yaml:3: is no YAML: holds a second document"),
        ("worker_env: a\nworker_region: b\nworker_env: c\n", "config.yaml:3: has a key twice: 'worker_env'"),
        ("\"worker_env\": a\nworker_env: b\n'worker_env': c\n", "config.yaml:2: has a key twice: 'worker_env'"),
        ("worker_env: *nowhere", "config.yaml:1: is no YAML: found undefined alias"),
    ])
    func `a file that can't be read is one mistake with its line`(text: String, mistake: String) throws {
        #expect(try fileMistakes(text) == [mistake])
    }

    @Test(arguments: [
        (
            "worker_queue: a",
            "config.yaml:1: has a key that is no setting: 'worker_queue', did you mean 'worker_queues'?"
        ),
        ("WORKER_ENV: a", "config.yaml:1: has a key that is no setting: 'WORKER_ENV', did you mean 'worker_env'?"),
        ("\nspeed: 3", "config.yaml:2: has a key that is no setting: 'speed'"),
        ("database_url=postgres: 1", "config.yaml:1: has a key that is no setting: one that is no name"),
        ("[1, 2]: 3", "config.yaml:1: has a key that is no setting: one that is no name"),
    ])
    func `a key that is no setting is answered with the one that was meant`(text: String, mistake: String) throws {
        #expect(try fileMistakes(text) == [mistake])
    }

    @Test(arguments: [
        ("worker_region: [a]", "a list stands where one value is wanted"),
        ("worker_region: {a: b}", "it is neither text nor a list of it"),
        ("worker_queues: []", "the list is empty"),
        ("worker_queues: [[a]]", "it is neither text nor a list of it"),
        ("worker_queues: ['a,b']", "an entry of the list holds a comma"),
        ("worker_queues: [a, ~]", "entry 2 is empty"),
    ])
    func `a value of the wrong shape is told from a bad one`(text: String, problem: String) throws {
        let file = try folder.write(text, to: "config.yaml")
        let found = mistakes(Sources(environment: [:], file: file))
        #expect(found.map(\.problem) == [problem])
        #expect(found.map(\.origin) == [.file(path: file, line: 1)])
    }

    @Test func `a file must be small and be UTF-8`() throws {
        let comment = "#" + String(repeating: " ", count: FileText.bytesMax - 2) + "\n"
        _ = try folder.load(file: comment)
        #expect(try fileMistakes(comment + "\n") == ["config.yaml: is larger than 1048576 bytes"])
        let file = try folder.write([0x23, 0xff, 0x0a], to: "config.yaml")
        #expect(mistakes(Sources(environment: [:], file: file)).map(\.problem) == ["is not UTF-8"])
    }

    @Test func `deep nesting is refused like any other wrong shape`() throws {
        let depth = 900
        let text = "worker_queues: " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(try fileMistakes(text).count == 1)
    }

    @Test func `a named file has to be there, the usual one hasn't`() throws {
        let missing = "\(folder.path)/missing.yaml"
        #expect(
            mistakes(Sources(environment: [:], file: missing)).map(\.description) == ["\(missing): is not there"])
        var sources = Sources(environment: [:])
        #expect(sources.filePath == "/etc/jobworker/config.yaml")
        sources.filePath = missing
        #expect(throws: Never.self) { try Configuration.load(sources) }
    }

    @Test func `a folder is no file, named or not`() throws {
        var sources = Sources(environment: [:])
        sources.filePath = folder.path
        #expect(mistakes(sources).map(\.problem) == ["can't be read: Is a directory"])
    }

    @Test func `secrets in a file that everybody may read are warned of`() throws {
        let text = "database_url: host=db password=canary\n"
        let open = try folder.write(text, to: "open.yaml", mode: 0o644)
        let closed = try folder.write(text, to: "closed.yaml", mode: 0o640)
        let harmless = try folder.write("worker_env: a", to: "harmless.yaml", mode: 0o644)
        #expect(
            try Configuration.load(Sources(environment: [:], file: open)).warnings == [
                "\(open) holds secrets and every user may read it: 'chmod o= \(open)' ends that"
            ])
        #expect(try Configuration.load(Sources(environment: [:], file: closed)).warnings.isEmpty)
        #expect(try Configuration.load(Sources(environment: [:], file: harmless)).warnings.isEmpty)
    }
}
