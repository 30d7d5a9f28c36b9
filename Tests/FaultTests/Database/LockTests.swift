import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Locks that others hold: on a row, on the whole table.
@Suite(.database()) struct LockTests {
    let database = TestDatabase.current

    @Test func `whoever locks a running job's row keeps that job waiting, and no other`() async throws {
        let (ledger, started, go) = (Ledger(), Gate(), Gate())
        let waits = ScriptedProcessor("waits") { job, _ in
            try await ledger.record(job) {
                started.open()
                await go.passed()
                return nil
            }
        }
        let lasts = ledger.processor("lasts", lasting: .seconds(3))
        try await database.withWorker(waits, lasts, ledger.processor(), change: { $0.hasten() }) { worker in
            let locked = try await database.insertJob("waits")
            try await started.opened()
            let holder = try await Connection.open(database.settings)
            try await holder.runScript("BEGIN; SELECT FROM public.jobs WHERE id = '\(locked.text)' FOR UPDATE")
            go.open()
            // Longer than the lease: it lives by its heartbeats, which name the locked job too.
            let long = try await database.insertJob("lasts")
            try await database.insertJobs(20)
            try await database.waitUntil("id = '\(long.text)' AND status = 'completed'")
            try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'completed') = 21")
            #expect(try await database.job(long).attempts == 1)
            #expect(try await database.job(locked).status == "processing")
            try await holder.runScript("COMMIT")
            await holder.close()
            try await database.waitUntil("id = '\(locked.text)' AND status = 'completed'")
            // Only the locked one may have been taken back meanwhile.
            #expect(ledger.runs(of: long) == 1)
            #expect(ledger.repeated <= 1)
            #expect(worker.state.snapshot.hasLostDatabase == false)
        }
    }

    @Test func `a pending job whose row is locked is passed over, and runs when the lock is gone`() async throws {
        let ledger = Ledger()
        let locked = try await database.insertJob("noop", priority: 10)
        let holder = try await Connection.open(database.settings)
        try await holder.runScript("BEGIN; SELECT FROM public.jobs WHERE id = '\(locked.text)' FOR UPDATE")
        try await database.withWorker(ledger.processor(), change: { $0.hasten() }) { _ in
            try await database.insertJobs(20)
            try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'completed') = 20")
            #expect(ledger.runs(of: locked) == 0)
            try await holder.runScript("COMMIT")
            await holder.close()
            try await database.waitUntilQuiet()
            #expect(ledger.runs(of: locked) == 1)
        }
    }

    @Test func `a table locked for longer than a lease makes nobody take jobs from workers that live`() async throws {
        let (ledger, go) = (Ledger(), Gate())
        let waits = ScriptedProcessor("noop") { job, _ in
            try await ledger.record(job) {
                while !go.isOpen { try await Task.sleep(for: .milliseconds(20)) }
                return nil
            }
        }
        var settings = database.workerSettings
        settings.lockTimeout = .milliseconds(300)
        try await database.withWorker(waits, through: settings, change: { $0.hasten() }) { first in
            try await database.withWorker(waits, through: settings, change: { $0.hasten() }) { second in
                try await database.insertJobs(6)
                try await eventually("all run") { ledger.jobs == 6 }
                let holder = try await Connection.open(database.settings)
                try await holder.runScript("BEGIN; LOCK TABLE public.jobs IN ACCESS EXCLUSIVE MODE")
                // Their own clocks tell them that the lease can't be held.
                try await eventually("they have stopped their runs") { first.runningCount + second.runningCount == 6 }
                try await eventually("both know") {
                    !first.state.snapshot.isConnected && !second.state.snapshot.isConnected
                }
                _ = try await holder.query("SELECT pg_sleep(3)")
                try await holder.runScript("COMMIT")
                await holder.close()
                go.open()
                try await database.waitUntilQuiet()
                #expect(first.state.snapshot.counts.reaped + second.state.snapshot.counts.reaped == 0)
                #expect(try await database.count("status = 'completed' AND attempts = 1 AND worker_deaths = 0") == 6)
                #expect(ledger.overlaps == 0)
            }
        }
    }

    @Test func `rows locked crosswise by others cause no deadlock with a batch of completions`() async throws {
        let (ledger, go) = (Ledger(), Gate())
        let waits = ScriptedProcessor("noop") { job, _ in
            try await ledger.record(job) {
                await go.passed()
                return nil
            }
        }
        try await database.withWorker(waits, change: { $0.hasten(lease: .seconds(10)) }) { _ in
            try await database.insertJobs(5)
            try await eventually("all run") { ledger.jobs == 5 }
            let ids = try await database.query("SELECT id::text AS id FROM public.jobs ORDER BY id").map {
                try $0.decode("id", as: String.self)
            }
            let deadlocks = try await deadlocks()
            let (up, down) = (
                try await Connection.open(database.settings), try await Connection.open(database.settings)
            )
            try await up.runScript("BEGIN; SELECT FROM public.jobs WHERE id = '\(ids[0])' FOR UPDATE")
            try await down.runScript("BEGIN; SELECT FROM public.jobs WHERE id = '\(ids[4])' FOR UPDATE")
            go.open()
            try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'completed') = 3")
            try await up.runScript("SELECT FROM public.jobs WHERE id = '\(ids[4])' FOR UPDATE SKIP LOCKED; COMMIT")
            try await down.runScript("COMMIT")
            await up.close()
            await down.close()
            try await database.waitUntilQuiet()
            #expect(try await self.deadlocks() == deadlocks)
            #expect(ledger.repeated == 0)
        }
    }

    private func deadlocks() async throws -> Int {
        try await database.value(
            "SELECT deadlocks::int AS number FROM pg_stat_database WHERE datname = current_database()") ?? 0
    }
}
