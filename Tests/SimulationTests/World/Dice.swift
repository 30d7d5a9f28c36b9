/// Chance from a seed: the same seed draws the same numbers on every machine (SplitMix64).
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// In 0..<1.
    mutating func share() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    /// True in `percent` of 100 throws.
    mutating func happens(_ percent: Int) -> Bool { number(0...99) < percent }

    /// A time in tenths of a second: coarse, so that moments coincide now and then.
    mutating func time(_ range: ClosedRange<Int>) -> Int {
        number((range.lowerBound / 100)...(range.upperBound / 100)) * 100
    }
}
