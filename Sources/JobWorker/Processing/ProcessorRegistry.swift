/// Which processor runs which job type.
public struct ProcessorRegistry: Sendable {
    private var processors: [String: any JobProcessor] = [:]
    /// The same types with their terms, put together once and not for each claim.
    package private(set) var served = ServedTypes(names: [])

    public init() {}

    /// - Throws: `DuplicateJobType` when a type is served already.
    public mutating func register(_ processor: any JobProcessor) throws(DuplicateJobType) {
        for type in processor.jobTypes where processors[type] != nil {
            throw DuplicateJobType(jobType: type)
        }
        let terms = processor.terms
        for type in processor.jobTypes {
            processors[type] = processor
            served.timeouts[type] = terms.timeout
            served.limits[type] = terms.maxConcurrent
            if terms.isForOperatorsOnly { served.forOperatorsOnly.append(type) }
        }
        served.names = processors.keys.sorted()
        served.forOperatorsOnly.sort()
    }

    /// The types served, sorted.
    public var jobTypes: [String] { served.names }

    public subscript(jobType: String) -> (any JobProcessor)? { processors[jobType] }
}

/// Two processors were registered for one job type.
public struct DuplicateJobType: Error, CustomStringConvertible {
    public let jobType: String
    public var description: String { "two processors serve the job type '\(jobType)'" }
}
