/// How soon this worker sees to what all workers are told at once, and one of them is enough for.
///
/// Who came in vain, as another one was faster, comes later the next time: twice as late, up to sixteen times. So of many
/// workers a few see to it; the others spread out behind them, and look once for much that was told meanwhile. They take over
/// where those few are gone or have their hands full, and who finds something is prompt again. A value.
struct Promptness: Sendable {
    private var factor = 1
    private static let factorMax = 16

    /// A pause of a prompt worker, as long as it is for this one.
    func stretched(_ pause: Duration) -> Duration { pause * factor }

    /// A look that others were told to make as well has ended.
    mutating func looked(found: Bool) {
        factor = found ? 1 : min(factor * 2, Promptness.factorMax)
    }
}
