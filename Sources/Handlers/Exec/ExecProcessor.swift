import FoundationEssentials
import Glibc
package import JobWorker

/// Runs the jobs of one type by a program: started for each, or kept and given one after another.
package struct ExecProcessor: JobProcessor {
    package let jobTypes: [String]
    package let terms: ProcessorTerms
    private let jobType: String
    private let settings: ExecSettings
    /// Where copies are kept, if they are.
    let pool: ProgramPool?

    package init(_ definition: HandlerDefinition, _ settings: ExecSettings) {
        jobType = definition.jobType
        jobTypes = [definition.jobType]
        self.settings = settings
        terms = ProcessorTerms(
            timeout: definition.timeout, maxConcurrent: definition.maxConcurrent ?? settings.poolSize,
            isForOperatorsOnly: definition.audience == .operators)
        pool = settings.poolSize.map { ProgramPool(size: $0, idleTimeout: settings.idleTimeout) }
    }

    /// Ends the copies that wait.
    package func closePool() async { await pool?.close() }

    package func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        let line = Array(try JobDocument(job).text.utf8) + [UInt8(ascii: "\n")]
        if let pool { return try await askKept(pool, line, context) }
        var launch = try self.launch()
        launch.environment["JOB_ID"] = job.id.uuidString.lowercased()
        launch.environment["JOB_ATTEMPT"] = String(job.attempt)
        launch.environment["WORKSPACE_ID"] = job.workspaceID.uuidString.lowercased()
        launch.input = line
        let program = ProcessThread.shared.start(launch)
        return try await withTaskCancellationHandler {
            try await attend(program, context)
        } onCancel: {
            program.terminate()
        }
    }

    // MARK: A program for each job

    private func attend(_ program: Program, _ context: JobContext) async throws -> JSONText? {
        var talk = ProgramTalk(context)
        while true {
            let items = await program.next()
            await talk.take(items)
            if talk.isOver { program.terminate() }
            guard case .end(let end) = items.last else { continue }
            await talk.finish(
                errorLinesLeftOut: end.errorLinesLeftOut, leftBehind: end.leftBehind, isUnclean: end.isUnclean)
            if Task.isCancelled || talk.isOver { throw CancellationError() }
            guard case .exited(0) = end.status else { throw ProgramFailure(end, retryIn: talk.retryIn).failure }
            guard let line = end.lastLine else { return nil }
            guard line.missing == 0 else {
                throw JobFailure.permanent(
                    "The program's last line of standard output is longer than \(RunningProgram.resultMax) bytes, the most "
                        + "that a result may have; store the data elsewhere and print a reference")
            }
            return try ResultText.of(line.text)
        }
    }

    // MARK: Kept programs

    private func askKept(_ pool: ProgramPool, _ line: [UInt8], _ context: JobContext) async throws -> JSONText? {
        while true {
            let program = try await pool.take { ProcessThread.shared.start(try self.launch()) }
            let answer = await withTaskCancellationHandler {
                program.write(line)
                return await listen(program, context)
            } onCancel: {
                program.terminate()
            }
            switch answer {
            case .line(let line):
                // Told to stop while it answered: it is ending.
                if Task.isCancelled {
                    await ProgramPool.end(program)
                    throw CancellationError()
                }
                let verdict = PoolAnswer(line)
                if verdict.isOutOfStep { await ProgramPool.end(program) } else { await pool.give(back: program) }
                return try verdict.result()
            case .ended(let end, let retryIn):
                if Task.isCancelled { throw CancellationError() }
                if end.hadRested { continue }
                throw ProgramFailure(end, retryIn: retryIn, isKept: true).failure
            case .over:
                await ProgramPool.end(program)
                throw CancellationError()
            }
        }
    }

    private enum Answer {
        case line(LineSplitter.Line)
        case ended(ProgramEnd, retryIn: Duration?)
        /// The attempt no longer owns the job.
        case over
    }

    private func listen(_ program: Program, _ context: JobContext) async -> Answer {
        var talk = ProgramTalk(context)
        while true {
            let items = await program.next()
            await talk.take(items)
            for item in items {
                switch item {
                case .line(.output, let line):
                    await talk.finish()
                    return .line(line)
                case .end(let end):
                    await talk.finish(leftBehind: end.leftBehind, isUnclean: end.isUnclean)
                    return .ended(end, retryIn: talk.retryIn)
                case .line: break
                }
            }
            if talk.isOver { return .over }
        }
    }

    // MARK: The start

    /// Everything but the job.
    func launch() throws -> Launch {
        var environment = [
            "PATH": ExecProcessor.path, "LANG": "C.UTF-8", "JOB_TYPE": jobType,
        ]
        var user: Launch.User?
        if let name = settings.user {
            let found = try UserLookup.user(named: name)
            (environment["HOME"], environment["USER"]) = (found.home, name)
            // Its own user needs no rights to take on.
            if found.id != geteuid() {
                guard geteuid() == 0 else {
                    throw JobFailure.retryable(
                        "The handler's file says user '\(name)', but the worker doesn't run as root and can't change to it"
                    )
                }
                user = found
            }
        }
        environment.merge(settings.environment) { $1 }
        var launch = Launch(
            command: [try ProgramPath.find(settings.command[0], in: environment["PATH"] ?? "", settings.directory)]
                + settings.command.dropFirst(),
            environment: environment, directory: settings.directory)
        launch.user = user
        launch.limits = settings.limits
        if settings.poolSize != nil {
            launch.output = .everyLine
            launch.endsInput = false
            launch.errorLinesMax = .max
        }
        return launch
    }

    package static let path = "/usr/local/bin:/usr/bin:/bin"
}
