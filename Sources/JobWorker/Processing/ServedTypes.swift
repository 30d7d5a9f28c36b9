/// The job types that a worker claims, and what holds for each.
package struct ServedTypes: Sendable, Hashable {
    /// Sorted.
    package var names: [String]
    /// Longest time of an attempt, where it isn't the worker's.
    package var timeouts: [String: Duration] = [:]
    /// Most attempts at once, where that is limited.
    package var limits: [String: Int] = [:]
    /// Those refused to members of workspaces; sorted.
    package var forOperatorsOnly: [String] = []

    package init(names: [String]) { self.names = names }

    /// Without types that can't be served.
    func without(_ unserved: some Sequence<String>) -> ServedTypes {
        var rest = self
        let unserved = Set(unserved)
        guard !unserved.isEmpty else { return self }
        rest.names.removeAll { unserved.contains($0) }
        rest.forOperatorsOnly.removeAll { unserved.contains($0) }
        return rest
    }
}
