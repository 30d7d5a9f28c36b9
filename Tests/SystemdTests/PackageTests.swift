import FoundationEssentials
import Support
import Testing

extension UnderSystemd {
    /// The package's way through a machine.
    @Suite struct PackageTests {
        @Test func `an upgrade while jobs run loses nothing`() async throws {
            let machine = try await WorkerMachine.prepared(["WORKER_MAX_CONCURRENT": "10"])
            let (sandbox, database) = (machine.sandbox, machine.database)
            try await sandbox.bash("systemctl enable --now jobworker.socket jobworker.service jobworker@mail.service")
            let before = try await sandbox.property("MainPID", of: "jobworker")
            let beforeMail = try await sandbox.property("MainPID", of: "jobworker@mail")
            try await database.insertJobs(400, "sleep", payload: "{\"seconds\": 0.2}")
            try await database.waitUntil(10, "status = 'processing'")
            try await machine.install(BuiltPackage.laterVersion)
            #expect(
                try await sandbox.bash("dpkg-query -W -f '${Version} ${Status}' jobworker")
                    == "\(BuiltPackage.laterVersion) install ok installed")
            for (unit, process) in [("jobworker", before), ("jobworker@mail", beforeMail)] {
                try await eventually("\(unit) runs anew") {
                    let (state, now) = (
                        try await sandbox.property("ActiveState", of: unit),
                        try await sandbox.property("MainPID", of: unit)
                    )
                    return state == "active" && now != process && now != "0"
                }
            }
            #expect(await sandbox.run(["systemctl", "is-enabled", "jobworker"]).output == "enabled\n")
            try await database.waitUntil(400, "status = 'completed'")
            #expect(try await database.count("attempts <> 1 OR worker_deaths <> 0 OR lease_open") == 0)
            #expect(try await database.jobsCompletedTwice() == 0)
        }

        @Test func `an upgrade waits for no worker whose database is away`() async throws {
            let machine = try await WorkerMachine.prepared()
            let sandbox = machine.sandbox
            try await machine.start()
            let before = try await sandbox.property("MainPID", of: "jobworker")
            try await machine.postgres("stop")
            try await machine.install(BuiltPackage.laterVersion)
            try await eventually("the worker is started anew, and waits") {
                let (state, now) = (
                    try await sandbox.property("ActiveState", of: "jobworker"),
                    try await sandbox.property("MainPID", of: "jobworker")
                )
                return state == "activating" && now != before && now != "0"
            }
            try await machine.postgres("start")
            try await eventually("the worker is ready") {
                try await sandbox.property("ActiveState", of: "jobworker") == "active"
            }
        }

        @Test func `a worker that doesn't run isn't started by an upgrade, and a migration only if it is enabled`()
            async throws
        {
            let machine = try await WorkerMachine.prepared()
            try await machine.install(BuiltPackage.laterVersion)
            #expect(await machine.sandbox.run(["systemctl", "is-active", "jobworker"]).output == "inactive\n")
            #expect(try await machine.sandbox.journal("jobworker-migrate", "| grep -c Finished") == "1")
            try await machine.sandbox.bash("systemctl enable jobworker-migrate")
            try await machine.install(BuiltPackage.version)
            #expect(try await machine.sandbox.journal("jobworker-migrate", "| grep -c Finished") == "2")
        }

        @Test func `removed it stops its workers, purged it leaves nothing but the user and what was written by hand`()
            async throws
        {
            let machine = try await WorkerMachine.prepared()
            let (sandbox, database) = (machine.sandbox, machine.database)
            try await sandbox.bash("systemctl enable --now jobworker.socket jobworker jobworker@a.socket jobworker@a")
            try await database.insertJobs(200, "sleep", payload: "{\"seconds\": 0.05}")
            try await database.waitUntil(5, "status = 'processing'")
            try await sandbox.bash("dpkg --remove jobworker")
            #expect(try await database.count("status = 'processing' OR lease_open") == 0)
            #expect(try await database.count("status IN ('pending', 'completed')") == 200)
            #expect(await sandbox.run(["pgrep", "-x", "jobworker"]).status == 1)
            // The settings stay until the purge.
            try await sandbox.bash("test -e /etc/jobworker/config.yaml && test ! -e /usr/bin/jobworker")

            try await sandbox.bash("rm /etc/credstore/jobworker.*; dpkg --purge jobworker")
            let left = try await sandbox.bash(
                """
                find /etc /usr /opt /var -newer /etc/machine-id \\
                    \\( -iname '*jobworker*' -o -name 'credstore*' \\) -print
                find /run -iname '*jobworker*'
                """)
            #expect(left == "")
            let units = try await sandbox.bash("systemctl list-units --all --no-legend 'jobworker*'")
            #expect(units == "")
            #expect(try await sandbox.bash("getent passwd jobworker | cut -d : -f 1") == "jobworker")
        }
    }
}

/// What needs no sandbox.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PackagingTests {
    @Test func `the package has the program, its units, samples, completions and whatever else is there for it`()
        async throws
    {
        let (status, listing) = await runProgram(["dpkg-deb", "--contents", try await BuiltPackage.path()])
        #expect(status == 0)
        // Owner and path of each entry.
        let entries = listing.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true) }
        #expect(entries.allSatisfy { $0.count > 5 && $0[1] == "root/root" })
        let paths = Set(entries.compactMap { $0.count > 5 ? String($0[5].dropFirst()) : nil })
        var expected = [
            "/usr/bin/jobworker", "/usr/lib/systemd/system/jobworker.service",
            "/usr/lib/systemd/system/jobworker@.service", "/usr/lib/systemd/system/jobworker.socket",
            "/usr/lib/systemd/system/jobworker@.socket", "/usr/lib/systemd/system/jobworker.target",
            "/usr/lib/systemd/system/jobworker-migrate.service", "/usr/lib/sysusers.d/jobworker.conf",
            "/usr/lib/tmpfiles.d/jobworker.conf", "/etc/jobworker/config.yaml", "/etc/jobworker/handlers.d/",
            "/etc/jobworker/schedules.d/", "/etc/default/jobworker",
            "/usr/share/bash-completion/completions/jobworker", "/usr/share/zsh/vendor-completions/_jobworker",
            "/usr/share/fish/vendor_completions.d/jobworker.fish", "/usr/share/doc/jobworker/copyright",
            "/usr/share/doc/jobworker/changelog.Debian.gz", "/usr/share/doc/jobworker/changelog.gz",
        ]
        // Pages of the manual, dashboards and alert rules, as far as the tree has them.
        for page in Self.files("docs/man") {
            expected.append("/usr/share/man/man\(page.last.map(String.init) ?? "")/\(page).gz")
        }
        for kind in ["grafana", "prometheus"] {
            for file in Self.files("packaging/\(kind)") where file.hasSuffix(".json") || file.hasSuffix(".yaml") {
                expected.append("/usr/share/jobworker/\(kind)/\(file)")
            }
        }
        for path in expected { #expect(paths.contains(path), "\(path)") }
    }

    private static func files(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: Sandbox.project + "/" + folder)) ?? []
    }

    @Test func `lintian finds no error in the package`() async throws {
        let (_, output) = await runProgram([
            "lintian", "--allow-root", "--fail-on", "error",
            // A debug build finds the toolchain's libraries where they are.
            "--suppress-tags", "custom-library-search-path", try await BuiltPackage.path(),
        ])
        #expect(!output.split(separator: "\n").contains { $0.hasPrefix("E: ") }, "\(output)")
        #expect(!output.contains("lintian: "), "\(output)")
    }

    @Test func `two builds of one tree are the same package`() async throws {
        let first = try Data(contentsOf: URL(filePath: try await BuiltPackage.path()))
        let folder = BuiltProgram.path("packages-again")
        let (status, output) = await runProgram([
            Sandbox.project + "/packaging/build-deb", "--binary", BuiltProgram.path("jobworker"), "--version",
            BuiltPackage.version, "--compression", "gzip", "--output", folder,
        ])
        #expect(status == 0, "\(output)")
        let path = try #require(output.split(separator: "\n").last)
        #expect(try Data(contentsOf: URL(filePath: String(path))) == first)
    }

    @Test func `the source tarball is the same whenever and by whomever it is made`() async throws {
        guard await runProgram(["git", "-C", Sandbox.project, "rev-parse", "HEAD"]).status == 0 else {
            try Test.cancel("the sources are no checkout of git")
        }
        var tarballs: [Data] = []
        for (mask, zone) in [("022", "UTC"), ("077", "Pacific/Auckland")] {
            let folder = BuiltProgram.path("source-\(mask)")
            let (status, output) = await runProgram(
                [
                    "sh", "-c", "umask \(mask); exec \"$0\" --output \"$1\"",
                    Sandbox.project + "/packaging/source-tarball", folder,
                ], environment: ["TZ": zone])
            #expect(status == 0, "\(output)")
            let path = try #require(output.split(separator: "\n").last)
            tarballs.append(try Data(contentsOf: URL(filePath: String(path))))
        }
        #expect(tarballs[0] == tarballs[1])
        #expect(tarballs[0].count > 100_000)
    }
}
