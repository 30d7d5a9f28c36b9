import ArgumentParser

/// For what stands in the audit.
struct ReasonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Why; kept in the audit.", valueName: "text"))
    var reason: String?

    func validate() throws {
        guard (reason?.count ?? 0) <= 1000 else { throw ValidationError("--reason must have at most 1000 characters.") }
    }
}
