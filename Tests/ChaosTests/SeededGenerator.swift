import Glibc

/// SplitMix64: the same numbers for the same seed. https://prng.di.unimi.it/splitmix64.c
struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameter stream: Who draws: each client and the faults have numbers of their own.
    init(seed: UInt64, stream: UInt64) {
        state = seed &+ stream &* 0xD1B5_4A32_D192_ED03
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

    /// One of them, by weight.
    mutating func pick<Value>(_ choices: [(weight: Int, value: Value)]) -> Value {
        var left = Int.random(in: 0..<choices.reduce(0) { $0 + $1.weight }, using: &self)
        for choice in choices {
            if left < choice.weight { return choice.value }
            left -= choice.weight
        }
        preconditionFailure("weights must be positive")
    }

    /// A waiting time, as between independent events.
    mutating func pause(mean: Duration) -> Duration {
        let uniform = Double.random(in: 0.001..<1, using: &self)
        return mean * min(4, -log(uniform))
    }

}
