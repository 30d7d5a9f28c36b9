import Handlers
import JobWorker
import Logging
import Synchronization

/// The job types of this process: its own, and those of the files in force.
final class ServedHandlers: Sendable {
    private let own: ProcessorRegistry
    private let handlers: HandlerService
    private let adoptsStrays: Bool
    private let logger: Logger
    /// Processors that may no longer be in force.
    private let former = Mutex<[any JobProcessor]>([])

    /// - Parameter adoptsStrays: Whether nobody but handlers starts processes here: then each orphan is one of theirs.
    init(own: ProcessorRegistry, handlers: HandlerService, adoptsStrays: Bool, logger: Logger) {
        self.own = own
        self.handlers = handlers
        self.adoptsStrays = adoptsStrays
        self.logger = logger
    }

    var registry: ProcessorRegistry {
        var registry = own
        for processor in handlers.processors {
            do throws(DuplicateJobType) { try registry.register(processor) } catch {
                // Can't be: the files were read with the own types at hand, and name each type once.
                logger.log(.handlerFileRefused, metadata: ["PROBLEM": "\(error)"])
            }
        }
        return registry
    }

    /// Reads the files and tells the log what came of it.
    func load(_ folder: String) async {
        let before = handlers.processors
        let change = await handlers.load(folder, taken: Set(own.jobTypes))
        former.withLock { $0 = before }
        if adoptsStrays, handlers.definitions.contains(where: { if case .exec = $0.kind { true } else { false } }) {
            ProcessThread.shared.adoptStrays()
        }
        for problem in change.problems {
            logger.log(.handlerFileRefused, metadata: ["PROBLEM": "\(problem)"])
        }
        guard !change.types.isEmpty || !change.changed.isEmpty else { return }
        logger.log(
            .handlersLoaded,
            metadata: [
                "FOLDER": "\(folder)", "JOB_TYPES": "\(change.types.joined(separator: ", "))",
                "CHANGED": "\(change.changed.isEmpty ? "none" : change.changed.joined(separator: ", "))",
            ])
    }

    /// Ends waiting programs of what was in force before; once nothing new is given to them.
    func retire() async { await handlers.retire(former.withLock { $0 }) }
}
