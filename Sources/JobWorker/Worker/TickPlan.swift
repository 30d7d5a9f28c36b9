import FoundationEssentials

/// When the ticker must look at the schedules, and which of them it leaves alone meanwhile.
///
/// Looks at the queue tell of the next time while a tick is under way; what they say is never lost, as the earlier time
/// counts: a look too many finds nothing, one too few is a tick that comes late. A value.
struct TickPlan: Sendable {
    /// Why a schedule whose time has come was not moved on.
    enum Hindrance: Sendable, Hashable {
        /// Somebody holds it, or has just changed it.
        case contention
        /// This machine can't tell its times; others may.
        case obstacle
        /// The database wouldn't have it.
        case refusal

        /// The pause before another try: at first, and at most.
        var pause: (first: Duration, last: Duration) {
            switch self {
            case .contention: (.milliseconds(100), .seconds(5))
            case .obstacle: (.seconds(60), .seconds(60))
            case .refusal: (.seconds(1), .seconds(60))
            }
        }
    }

    private struct Rest {
        let hindrance: Hindrance
        var count: Int
        var until: ContinuousClock.Instant
    }

    /// When to look; `nil` where nothing is known to come.
    private(set) var due: ContinuousClock.Instant?
    /// Told since the tick that is under way began.
    private var heard: ContinuousClock.Instant?
    private var rests: [UUID: Rest] = [:]
    /// When the first of those ends that the tick under way leaves alone or has begun: it may take longer than they.
    private var restsOver: ContinuousClock.Instant?
    private var promptness: Promptness

    /// All workers know when a schedule is due; so they don't ask all at once.
    private static let spread = Duration.milliseconds(15)
    /// Who is never the first comes no later than 60 ms: should the others be gone, a job is still in time.
    private static let latenessFactorMax = 4
    /// A rest is forgotten this long after its end: the schedule is gone, or somebody else has seen to it.
    private static let memory = Duration.seconds(600)

    /// - Parameter random: In 0..<1.
    init(random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }) {
        promptness = Promptness(random: random)
    }

    /// A schedule becomes due at this moment.
    mutating func hear(_ moment: ContinuousClock.Instant) {
        let moment = delayed(moment)
        due = min(due ?? moment, moment)
        heard = min(heard ?? moment, moment)
    }

    /// A tick begins.
    /// - Returns: The schedules to leave alone.
    mutating func begins(now: ContinuousClock.Instant) -> [UUID] {
        heard = nil
        rests = rests.filter { now - $0.value.until < TickPlan.memory }
        let resting = rests.filter { $0.value.until > now }
        restsOver = resting.values.map(\.until).min()
        return Array(resting.keys)
    }

    /// A schedule can't be moved on now.
    /// - Returns: Whether that is news.
    mutating func rest(_ id: UUID, because hindrance: Hindrance, now: ContinuousClock.Instant) -> Bool {
        let before = rests[id].flatMap { $0.hindrance == hindrance ? $0.count : nil } ?? 0
        let (first, last) = hindrance.pause
        let pause = min(last, first * (1 << min(before, 20)))
        rests[id] = Rest(hindrance: hindrance, count: before + 1, until: now + pause)
        restsOver = min(restsOver ?? now + pause, now + pause)
        return before == 0
    }

    /// A schedule was moved on.
    mutating func took(_ id: UUID) { rests[id] = nil }

    private func delayed(_ moment: ContinuousClock.Instant) -> ContinuousClock.Instant {
        moment + promptness.lateness(upTo: TickPlan.spread)
    }

    /// The tick is over.
    /// - Parameters:
    ///   - next: When the next schedule is due, as it found.
    ///   - isInVain: Another worker had seen to it.
    mutating func ends(next: ContinuousClock.Instant?, isInVain: Bool = false) {
        promptness.looked(found: !isInVain, factorMax: TickPlan.latenessFactorMax)
        let next = next.map(delayed)
        due = [next, heard, restsOver].compactMap(\.self).min()
    }

    /// The tick failed: nothing is tried before this moment.
    mutating func fails(until pause: ContinuousClock.Instant) { due = max(due ?? pause, pause) }
}
