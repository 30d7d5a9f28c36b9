import JobWorker
import Logging
public import Logs
import Metrics
import ServiceLifecycle

/// Tells of the lines that the limiter left out: one line for each kind, and in the figures.
struct LeftOutLines: Service {
    let limiter: LogLimiter
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in limiter.beginnings {
                while let moment = limiter.nextOmission {
                    guard (try? await Task.sleep(until: moment, clock: .continuous)) != nil else { return }
                    tell()
                }
            }
        }
    }

    /// - Parameter all: Also of what is younger than the limiter's interval.
    func tell(all: Bool = false) {
        for omission in limiter.omissions(all: all) {
            Counter(
                label: MetricCatalog.suppressedLines.name, dimensions: [("level", omission.level.rawValue)]
            ).increment(by: omission.count)
            let seconds = max(1, Int((omission.span / .seconds(1)).rounded()))
            logger.log(
                .linesLeftOut,
                text: "\(omission.count) more like this were left out in the last \(seconds) s: \(omission.text)",
                level: omission.level,
                metadata: [
                    "COUNT": "\(omission.count)", "SECONDS": "\(seconds)",
                    "OF_MESSAGE_ID": "\(omission.messageID ?? "none")",
                ])
        }
    }
}

extension LogLimiter {
    /// The daemon's: never leaves out what tells of its life.
    public static func ofDaemon() -> LogLimiter {
        LogLimiter(exempt: Set(LogMessage.all.filter(\.isAlwaysWritten).map(\.id)))
    }
}
