/// Why a schedule's time can't be understood: a sentence that names the part and says what to write.
package struct CronError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
    /// The fault is this machine's: another one may understand it.
    package let isOfMachine: Bool

    init(_ description: String, isOfMachine: Bool = false) {
        self.description = description
        self.isOfMachine = isOfMachine
    }
}
