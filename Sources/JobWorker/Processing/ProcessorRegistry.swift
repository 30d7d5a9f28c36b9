/// Which processor runs which job type.
public struct ProcessorRegistry: Sendable {
    private var processors: [String: any JobProcessor] = [:]

    public init() {}

    /// - Throws: `DuplicateJobType` when a type is served already.
    public mutating func register(_ processor: any JobProcessor) throws(DuplicateJobType) {
        for type in processor.jobTypes where processors[type] != nil {
            throw DuplicateJobType(jobType: type)
        }
        for type in processor.jobTypes { processors[type] = processor }
    }

    /// The types served, sorted.
    public var jobTypes: [String] { processors.keys.sorted() }

    public subscript(jobType: String) -> (any JobProcessor)? { processors[jobType] }
}

/// Two processors were registered for one job type.
public struct DuplicateJobType: Error, CustomStringConvertible {
    public let jobType: String
    public var description: String { "two processors serve the job type '\(jobType)'" }
}
