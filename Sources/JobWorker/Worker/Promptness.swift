/// How soon this worker sees to what all workers are told at once, and one of them is enough for.
///
/// Who came in vain, as another one was faster, comes later the next time: twice as late, up to a multiple. So of many
/// workers a few see to it; the others spread out behind them, and look once for much that was told meanwhile. They take over
/// where those few are gone or have their hands full, and who finds something is prompt again. A value.
struct Promptness: Sendable {
    /// So many times as late as a prompt worker, where nothing else is said.
    static let factorMax = 16

    private var factor = 1
    /// Drawn once for each look: of several draws the least would count, and all workers came at once again.
    private var share: Double
    private let random: @Sendable () -> Double

    /// - Parameter random: In 0..<1.
    init(random: @escaping @Sendable () -> Double = { .random(in: 0..<1) }) {
        self.random = random
        share = random()
    }

    /// A pause of a prompt worker, as long as it is for this one.
    func stretched(_ pause: Duration) -> Duration { pause * factor }

    /// How much later than others this worker comes, by chance.
    /// - Parameter width: Of a prompt worker, at most.
    func lateness(upTo width: Duration) -> Duration { stretched(width) * share }

    /// A look has ended that others were told to make as well.
    /// - Parameter factorMax: No slower than this by having come in vain.
    mutating func looked(found: Bool, factorMax: Int = Promptness.factorMax) {
        factor = found ? 1 : max(factor, min(factor * 2, factorMax))
        share = random()
    }
}
