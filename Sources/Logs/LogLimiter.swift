public import Logging
import Synchronization

/// Bounds how many lines of one kind are written, so that a storm of failures doesn't flood the log. Lines below `info`
/// are not bounded: whoever switches them on wants to see them all.
///
/// Lines of one level from one place of the source are one kind: there are as many kinds as the program has such places.
/// Each kind has a bucket of tokens; a line takes one, and is left out where none is left. The first of its kind always
/// finds a full one.
///
/// A `Mutex`: an access is a look into a dictionary and a few additions.
public final class LogLimiter: Sendable {
    /// Lines of one kind that were left out.
    public struct Omission: Sendable, Hashable {
        public let level: Logger.Level
        /// The words of the first one.
        public let text: String
        /// The first one's own id, where it had one.
        public let messageID: String?
        public let count: Int
        /// Time from the first of them until it was asked for them.
        public let span: Duration
    }

    private struct Kind: Hashable {
        let level: Logger.Level
        let file: String
        let line: UInt

        /// By what tells most of them apart, as a busy worker asks for each of its jobs.
        func hash(into hasher: inout Hasher) { hasher.combine(line) }
    }

    private struct Bucket {
        var tokens: Double
        var filledAt: ContinuousClock.Instant
        var omitted = 0
        var omittedSince: ContinuousClock.Instant?
        var text = ""
        var messageID: String?
        /// The id of the kind's latest line, and whether such are always written.
        var latest: (id: String?, isExempt: Bool)
    }

    /// Most lines of a kind that come at once.
    private let burst: Double
    /// How many more there may be each second.
    private let perSecond: Double
    private let exempt: Set<String>
    private let now: @Sendable () -> ContinuousClock.Instant
    private let buckets = Mutex<[Kind: Bucket]>([:])
    private let begun: AsyncStream<Void>
    private let begin: AsyncStream<Void>.Continuation

    /// How long lines are left out before it is told how many they were.
    public static let interval = Duration.seconds(10)

    /// - Parameters:
    ///   - exempt: Ids of messages that are always written.
    ///   - now: For tests; by default the time of this process.
    public init(
        burst: Int = 100, perSecond: Double = 20, exempt: Set<String>,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        precondition(burst >= 1 && perSecond > 0, "the first line of its kind is always written")
        self.burst = Double(burst)
        self.perSecond = perSecond
        self.exempt = exempt
        self.now = now
        (begun, begin) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// An element when lines begin to be left out: `omissions()` has something to tell a while later. For one reader.
    public var beginnings: AsyncStream<Void> { begun }

    /// What was left out since it was asked the last time, most severe first.
    ///
    /// - Parameter all: Also what is younger than `interval`.
    public func omissions(all: Bool = false) -> [Omission] {
        let moment = now()
        let omissions = buckets.withLock { buckets in
            var omissions: [Omission] = []
            for (kind, bucket) in buckets {
                guard let since = bucket.omittedSince, all || since + LogLimiter.interval <= moment else { continue }
                omissions.append(
                    Omission(
                        level: kind.level, text: bucket.text, messageID: bucket.messageID, count: bucket.omitted,
                        span: moment - since))
                buckets[kind]?.omitted = 0
                buckets[kind]?.omittedSince = nil
            }
            return omissions
        }
        return omissions.sorted { ($1.level, $0.text) < ($0.level, $1.text) }
    }

    /// Until when the oldest kind has to wait to be told of; `nil` while nothing is left out.
    public var nextOmission: ContinuousClock.Instant? {
        buckets.withLock { $0.values.compactMap(\.omittedSince).min().map { $0 + LogLimiter.interval } }
    }

    /// Whether this line is to be written; otherwise it is counted.
    func admits(_ event: LogEvent) -> Bool {
        guard event.level >= .info else { return true }
        let id = event.metadata?[messageIDKey]?.description
        let moment = now()
        let kind = Kind(level: event.level, file: event.file, line: event.line)
        let (isAdmitted, isFirst) = buckets.withLock { buckets in
            // In place: a copy back and forth costs more than all else here.
            let place = buckets.index(forKey: kind) ?? add(kind, to: &buckets, at: moment)
            return admits(event, id, at: moment, &buckets.values[place])
        }
        if isFirst { begin.yield() }
        return isAdmitted
    }

    private func add(
        _ kind: Kind, to buckets: inout [Kind: Bucket], at moment: ContinuousClock.Instant
    ) -> Dictionary<Kind, Bucket>.Index {
        buckets[kind] = Bucket(tokens: burst, filledAt: moment, latest: (nil, false))
        guard let place = buckets.index(forKey: kind) else { preconditionFailure("it was put there just now") }
        return place
    }

    private func admits(
        _ event: LogEvent, _ id: String?, at moment: ContinuousClock.Instant, _ bucket: inout Bucket
    ) -> (isAdmitted: Bool, isFirst: Bool) {
        if bucket.latest.id != id { bucket.latest = (id, id.map(exempt.contains) ?? false) }
        if bucket.latest.isExempt { return (true, false) }
        bucket.tokens = min(burst, bucket.tokens + (moment - bucket.filledAt) / .seconds(1) * perSecond)
        bucket.filledAt = moment
        guard bucket.tokens < 1 else {
            bucket.tokens -= 1
            return (true, false)
        }
        return (false, omit(event, id, at: moment, &bucket))
    }

    /// Whether lines of this message are always written.
    func isExempt(_ event: LogEvent) -> Bool {
        (event.metadata?[messageIDKey]?.description).map(exempt.contains) ?? false
    }

    /// Counts a line that can't be written, whatever its level and its kind.
    func leaveOut(_ event: LogEvent) {
        let id = event.metadata?[messageIDKey]?.description
        let moment = now()
        let kind = Kind(level: event.level, file: event.file, line: event.line)
        let isFirst = buckets.withLock { buckets in
            let place = buckets.index(forKey: kind) ?? add(kind, to: &buckets, at: moment)
            return omit(event, id, at: moment, &buckets.values[place])
        }
        if isFirst { begin.yield() }
    }

    /// - Returns: Whether it is the first that is left out since it was asked for them.
    private func omit(
        _ event: LogEvent, _ id: String?, at moment: ContinuousClock.Instant, _ bucket: inout Bucket
    ) -> Bool {
        bucket.omitted += 1
        guard bucket.omittedSince == nil else { return false }
        bucket.omittedSince = moment
        bucket.text = event.message.description
        bucket.messageID = id
        return true
    }
}
