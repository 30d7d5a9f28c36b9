import Development
import Postgres

/// Breaks one thing after another, several at once, as the seed says.
struct FaultDirector: Sendable {
    let course: Course
    let database: ChaosDatabase
    let slots: [WorkerSlot]
    let clients: Clients
    let log: FaultLog

    /// Until the deadline; returns when everything that it broke is whole again.
    func run(until deadline: ContinuousClock.Instant) async {
        var random = SeededGenerator(seed: course.seed, stream: 0)
        let restarting = Gate()
        await withDiscardingTaskGroup { group in
            while ContinuousClock.now < deadline {
                try? await Task.sleep(for: random.pause(mean: course.faultPause))
                let kind = random.pick(FaultKind.choices)
                let slot = slots[Int.random(in: 0..<slots.count, using: &random)]
                // Numbers of its own, whether or not the fault takes place.
                let own = SeededGenerator(seed: random.next(), stream: 1)
                group.addTask {
                    if kind.isOfOneWorker {
                        guard await slot.take() else { return }
                        await breakWorker(slot, kind, own)
                        slot.proxy.heal()
                        await slot.giveBack()
                    } else {
                        guard await restarting.enter(alone: kind == .restartFast || kind == .restartImmediate) else {
                            return
                        }
                        await breakDatabase(kind, own)
                        await restarting.leave()
                    }
                }
            }
        }
        for slot in slots { slot.proxy.heal() }
    }

    // MARK: One worker

    private func breakWorker(_ slot: WorkerSlot, _ kind: FaultKind, _ given: SeededGenerator) async {
        var random = given
        let worker = await slot.workerID
        let began = wallClock()
        let short = Duration.milliseconds(Int.random(in: 300...1500, using: &random))
        // Beyond the lease.
        let long = Duration.milliseconds(Int.random(in: 3500...7000, using: &random))
        switch kind {
        case .kill: await slot.kill()
        case .killAndPause: await slot.kill()
        case .drain: await slot.drain()
        case .freezeShort: await slot.freeze(for: short)
        case .freezeLong: await slot.freeze(for: long)
        case .stallShort: await stall(slot, .both, short)
        case .stallLong: await stall(slot, .both, long)
        case .stallAnswers: await stall(slot, .toClient, random.chance(0.5) ? short : long)
        case .stallRequests: await stall(slot, .toServer, random.chance(0.5) ? short : long)
        case .cut: slot.proxy.cut()
        case .refuse:
            slot.proxy.set(.refuse)
            slot.proxy.cut()
            try? await Task.sleep(for: short * 2)
        default: await strike(slot, kind, &random)
        }
        log.note(kind.rawValue, worker: worker, began: began)
        switch kind {
        case .killAndPause:
            try? await Task.sleep(for: long)
            try? await slot.start()
        case .kill, .drain: try? await slot.start()
        default: break
        }
    }

    private func stall(_ slot: WorkerSlot, _ directions: FaultProxy.Directions, _ time: Duration) async {
        slot.proxy.set(.stall(directions))
        try? await Task.sleep(for: time)
        slot.proxy.heal()
    }

    /// Loses a statement or its answer, whichever comes first of that name.
    private func strike(_ slot: WorkerSlot, _ kind: FaultKind, _ random: inout SeededGenerator) async {
        let names: [(weight: Int, value: String)] = [
            (6, "claim"), (4, "complete"), (4, "exchange"), (3, "settle"), (2, "heartbeat"), (3, "poll"),
            (1, "end_runs"),
        ]
        let rule = FaultProxy.Rule(
            "/* jobworker:\(random.pick(names)) */", kind == .dropReply ? .dropReply : .closeBefore,
            skipped: Int.random(in: 0...2, using: &random))
        let hit = slot.proxy.arm(rule)
        // It may never come; nor is it heard of where another fault ends its session first.
        try? await hit.struck(within: .seconds(5))
    }

    // MARK: The database

    private func breakDatabase(_ kind: FaultKind, _ given: SeededGenerator) async {
        var random = given
        let began = wallClock()
        do {
            switch kind {
            case .restartFast: try await database.server.restart(.fast)
            case .restartImmediate: try await database.server.restart(.immediate)
            case .terminateBackend: try await terminate(Int.random(in: 0..<10_000, using: &random))
            case .tableLock:
                try await database.admin.transaction { connection in
                    try connection.execute("LOCK TABLE public.jobs IN ACCESS EXCLUSIVE MODE")
                    try connection.execute("SELECT pg_sleep(1)")
                }
            case .rowLock: try await lockRows(for: Double.random(in: 1...4, using: &random))
            case .storm:
                for number in 0..<2000 {
                    try await database.admin.query(
                        """
                        SELECT pg_notify(channel, '0 0 default'), pg_notify(channel, \("\(number)"))
                        FROM jobworker.waiting_workers
                        """)
                }
            case .rollback: try await clients.addAndRollBack(random: &random)
            default: break
            }
        } catch {
            // One fault hit another.
        }
        log.note(kind.rawValue, worker: nil, began: began)
    }

    private func terminate(_ number: Int) async throws {
        let rows = try await database.admin.query(
            """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
            ORDER BY pid
            """)
        guard !rows.isEmpty else { return }
        let victim = try rows[number % rows.count].decode("pid", as: Int.self)
        try await database.admin.query("SELECT pg_terminate_backend(\(victim)::int)")
    }

    private func lockRows(for seconds: Double) async throws {
        try await database.admin.transaction { connection in
            try connection.execute(
                """
                SELECT id FROM public.jobs WHERE status IN ('processing', 'pending') ORDER BY random() LIMIT 4
                FOR UPDATE SKIP LOCKED
                """)
            try connection.execute("SELECT pg_sleep(\(seconds))")
        }
    }
}

/// Lets one restart at a time through, and nothing beside it that needs the server.
private actor Gate {
    private var inside = 0
    private var isClosed = false

    func enter(alone: Bool) -> Bool {
        guard !isClosed, !alone || inside == 0 else { return false }
        isClosed = alone
        inside += 1
        return true
    }

    func leave() {
        inside -= 1
        isClosed = false
    }
}
