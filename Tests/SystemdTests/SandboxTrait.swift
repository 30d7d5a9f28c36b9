import Testing

/// Gives each test a sandbox of its own; where the machine can't have one, the test is skipped and says why.
struct SandboxTrait: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func scopeProvider(for test: Test, testCase: Test.Case?) -> SandboxTrait? { testCase == nil ? nil : self }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        if let obstacle = await Sandbox.obstacle.value {
            try Test.cancel("this machine can't have a sandbox: \(obstacle)")
        }
        let sandbox = try await Sandbox.up()
        do {
            try await Sandbox.$current.withValue(sandbox) { try await function() }
        } catch {
            let journal = (try? await sandbox.bash("journalctl --no-pager -u 'jobworker*' -n 25")) ?? ""
            Issue.record(error, "The end of the journal:\n\(journal)")
        }
        await sandbox.down()
    }
}

extension Trait where Self == SandboxTrait {
    static var sandbox: SandboxTrait { SandboxTrait() }
}

/// Everything under a real systemd, one after the other: a machine each is enough for two cores.
@Suite(.serialized, .sandbox, .timeLimit(.minutes(5))) enum UnderSystemd {}
