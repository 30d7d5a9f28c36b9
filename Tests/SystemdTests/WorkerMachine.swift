import Development
import Support

/// The running test's sandbox with the package installed, a database and its schema; no worker runs yet.
struct WorkerMachine: Sendable {
    let sandbox: Sandbox
    let database: SandboxDatabase

    /// - Parameters:
    ///   - settings: Variables of all workers, besides those that every test has.
    ///   - isMigrated: Otherwise the database is empty.
    static func prepared(_ settings: [String: String] = [:], isMigrated: Bool = true) async throws -> WorkerMachine {
        guard let sandbox = Sandbox.current else { preconditionFailure("this test's suite has no trait .sandbox") }
        // The machine's own cluster, which the sandbox sees too, is none of ours.
        try await sandbox.bash(
            """
            version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
            rm -rf /etc/postgresql/* /var/lib/postgresql/*
            pg_createcluster "$version" main -o fsync=off -o max_connections=60 -- --no-sync --auth=trust >/dev/null
            systemctl daemon-reload
            systemctl start "postgresql@$version-main"
            createdb -h /run/postgresql -U postgres app
            """)
        for library in try await BuiltPackage.hiddenLibraries() {
            try await sandbox.copy(library, to: "/usr/local/lib/")
        }
        let machine = WorkerMachine(sandbox: sandbox, database: SandboxDatabase(sandbox))
        try await machine.install()
        let all = ["WORKER_DIAGNOSTIC_JOBS": "true"].merging(settings) { $1 }
        try sandbox.write(
            all.map { "\($0.key)=\($0.value)\n" }.sorted().joined(), to: "/etc/default/jobworker")
        try await sandbox.bash(
            """
            ldconfig
            umask 077
            echo 'host=/run/postgresql dbname=app user=postgres' >/etc/credstore/jobworker.migrate_database_url
            echo 'host=/run/postgresql dbname=app user=worker' >/etc/credstore/jobworker.database_url
            """)
        if isMigrated { try await machine.migrate() }
        return machine
    }

    /// Installs the package, or another version of it.
    /// - Returns: What dpkg and the package's scripts printed.
    @discardableResult
    func install(_ version: String = BuiltPackage.version) async throws -> String {
        try await sandbox.copy(try await BuiltPackage.path(version), to: "/tmp/jobworker.deb")
        return try await sandbox.bash("dpkg --force-confold -i /tmp/jobworker.deb 2>&1")
    }

    /// Brings the database to the program's schema, and gives the worker its login.
    func migrate() async throws {
        try await sandbox.bash("systemctl start jobworker-migrate")
        try await database.run(
            """
            CREATE ROLE worker LOGIN IN ROLE jobworker;
            INSERT INTO public.workspaces (id, name, slug) VALUES ('\(SandboxDatabase.workspace)', 'Test', 'test');
            """)
    }

    /// Adds lines to a unit, as `systemctl edit` does.
    func edit(_ unit: String, _ lines: String) async throws {
        try sandbox.write(lines + "\n", to: "/etc/systemd/system/\(unit).d/test.conf")
        try await sandbox.bash("systemctl daemon-reload")
    }

    func start(_ unit: String = "jobworker") async throws { try await sandbox.bash("systemctl start \(unit)") }
    func stop(_ unit: String = "jobworker") async throws { try await sandbox.bash("systemctl stop \(unit)") }

    /// Stops or starts the database server.
    func postgres(_ verb: String) async throws {
        try await sandbox.bash("systemctl \(verb) \"postgresql@$(ls /etc/postgresql)-main\"")
    }

    /// A path of the control plane over the worker's socket: the status of the answer and its text.
    func ask(_ path: String, _ options: String = "") async throws -> (status: String, body: String) {
        let answer = try await sandbox.bash(
            """
            curl -sS --max-time 30 -w '\\n%{http_code}' --unix-socket /run/jobworker/worker.sock \(options) \\
                'http://worker\(path)'
            """)
        let end = answer.lastIndex(of: "\n") ?? answer.startIndex
        return (String(answer[answer.index(after: end)...]), String(answer[..<end]))
    }

    /// What a test measured, for whoever reads the output.
    func figure(_ text: String) { print("figure: \(text)") }
}
