public import ArgumentParser
import Console
public import FoundationEssentials
public import JobWorker
import Postgres

extension UUID: @retroactive ExpressibleByArgument {
    public init?(argument: String) { self.init(uuidString: argument) }
}

extension JobStatus: ExpressibleByArgument {}

extension JobLogLevel: ExpressibleByArgument {}

extension JobCursor: ExpressibleByArgument {
    package init?(argument: String) { self.init(text: argument) }
}

@Sendable func lengthOfTime(_ text: String) throws -> Duration {
    guard let length = LengthOfTime.parse(text) else { throw ValidationError("must be \(LengthOfTime.allowed)") }
    return length
}

@Sendable func priorityNumber(_ text: String) throws -> Int {
    guard let priority = Priority(text: text) else {
        throw ValidationError("must be high, normal, low or a whole number from -10 to 10")
    }
    return priority.rawValue
}

@Sendable func pointInTime(_ text: String) throws -> Timestamp {
    guard let time = PointInTime.parse(text) else { throw ValidationError("must be \(PointInTime.allowed)") }
    return time
}
