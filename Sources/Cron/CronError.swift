/// Why a schedule's time can't be understood: a sentence that names the part and says what to write.
package struct CronError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
