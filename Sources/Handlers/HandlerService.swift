import HTTPClient
package import JobWorker
import Synchronization

/// The handlers in force: made from the files at the start, and again at each reload.
///
/// A file that is broken leaves in force what it said before, a folder that can't be read all of them; a file that has gone
/// takes its types with it. What a file says as before keeps its processor, and with it the programs that wait.
package final class HandlerService: Sendable {
    /// What a look at the files has changed.
    package struct Change: Sendable {
        package var problems: [HandlerFile.Problem] = []
        /// Types that are new, different, or gone; sorted.
        package var changed: [String] = []
        /// All types now; sorted.
        package var types: [String] = []
    }

    private struct Active: Sendable {
        let definition: HandlerDefinition
        let processor: any JobProcessor
    }

    /// How endpoints are asked: an attempt's own limit is the only one for an answer, and the worker's settings, which a
    /// reload may change, say how many are asked at once. 10000 is the most that `WORKER_MAX_CONCURRENT` allows.
    static let clientConfiguration = Client.Configuration(
        maxConnectionsPerHost: 10_000, maxConnections: 10_000, stallTimeout: nil)

    /// Made for the first endpoint: a client has a thread.
    private let client = Mutex<Client?>(nil)
    private let tokens: AttemptTokens?
    private let version: String
    private let credentials: String?
    private let active = Mutex<[String: Active]>([:])

    /// - Parameters:
    ///   - tokens: For progress and log rows by HTTP; `nil` where no key is known.
    ///   - credentials: The folder of systemd's credentials.
    package init(tokens: AttemptTokens?, version: String, credentials: String?) {
        self.tokens = tokens
        self.version = version
        self.credentials = credentials
    }

    package var processors: [any JobProcessor] {
        active.withLock { $0.sorted { $0.key < $1.key }.map(\.value.processor) }
    }

    /// What is in force; sorted by type.
    package var definitions: [HandlerDefinition] {
        active.withLock { $0.sorted { $0.key < $1.key }.map(\.value.definition) }
    }

    /// Reads the files.
    /// - Parameter taken: Types that the program serves itself: a file must not name them.
    package func load(_ folder: String, taken: Set<String>) async -> Change {
        var change = Change()
        let old = active.withLock { $0 }
        var new: [String: Active] = [:]
        let folder = HandlerFolder(path: folder)
        if let problem = folder.unreadable {
            change.problems.append(problem)
            new = old
        }
        for entry in folder.entries {
            do throws(HandlerFile.Problem) {
                var own: [String: Active] = [:]
                for definition in try entry.outcome.get() {
                    if taken.contains(definition.jobType) {
                        throw HandlerFile.Problem(
                            file: entry.path, line: definition.line,
                            text: "the job type '\(definition.jobType)' is served by the program itself")
                    }
                    let type = definition.jobType
                    if let active = old[type], active.definition == definition, !active.definition.isHTTP {
                        own[type] = active
                    } else {
                        own[type] = Active(definition: definition, processor: try processor(definition))
                    }
                }
                new.merge(own) { first, _ in first }
            } catch {
                change.problems.append(error)
                // Unless another file has it now.
                for (type, active) in old where active.definition.path == entry.path { new[type] = new[type] ?? active }
            }
        }
        change.types = new.keys.sorted()
        change.changed = Set(old.keys).union(new.keys).filter { old[$0]?.definition != new[$0]?.definition }.sorted()
        active.withLock { $0 = new }
        return change
    }

    /// Ends the programs that wait and belong to no handler in force.
    package func retire(_ processors: [any JobProcessor]) async {
        let kept = self.processors.compactMap { ($0 as? ExecProcessor)?.pool }.map(ObjectIdentifier.init)
        await withDiscardingTaskGroup { closings in
            for case let processor as ExecProcessor in processors {
                guard let pool = processor.pool, !kept.contains(ObjectIdentifier(pool)) else { continue }
                closings.addTask { await pool.close() }
            }
        }
    }

    /// Ends all programs that wait, and closes the connections to endpoints: the process stops.
    package func close() async {
        let all = active.withLock { active in
            defer { active = [:] }
            return active.values.map(\.processor)
        }
        await retire(all)
        await client.withLock { $0 }?.shutdown()
    }

    private func endpointClient() -> Client {
        client.withLock { client in
            let made = client ?? Client(configuration: Self.clientConfiguration)
            client = made
            return made
        }
    }

    private func processor(_ definition: HandlerDefinition) throws(HandlerFile.Problem) -> any JobProcessor {
        switch definition.kind {
        case .exec(let settings): return ExecProcessor(definition, settings)
        case .http(let settings):
            do throws(SecretFile.Problem) {
                return HTTPProcessor(
                    definition, settings,
                    secret: try SecretFile(settings.secretFile, credentials: credentials).read(),
                    client: endpointClient(), tokens: tokens, version: version)
            } catch {
                throw HandlerFile.Problem(file: definition.path, line: definition.line, text: error.sentence)
            }
        }
    }
}

extension HandlerDefinition {
    /// Its secret may have changed while the file hasn't.
    fileprivate var isHTTP: Bool { if case .http = kind { true } else { false } }
}
