import Testing

@testable import Doctor

struct SystemdCheckTests {
    /// As `systemctl show` of systemd 252 prints it.
    private func show(_ changes: [String: String] = [:]) -> String {
        let service = [
            "Id": "jobworker.service", "LoadState": "loaded", "ActiveState": "active", "Result": "success",
            "UnitFileState": "enabled", "NRestarts": "0", "StatusText": "ready; 0 of 5 running",
            "NeedDaemonReload": "no",
        ].merging(changes) { $1 }
        let socket = "Id=jobworker.socket\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n"
        return service.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined() + "\n" + socket
    }

    private func findings(_ changes: [String: String] = [:]) -> [Finding] {
        SystemdCheck.findings(SystemdCheck.parse(show(changes)))
    }

    @Test func `a unit that runs and starts at boot is right`() {
        #expect(findings().map(\.state) == [.ok])
        #expect(findings().first?.message == "jobworker.service: active")
    }

    @Test func `a unit that has failed is a failure, with its own last words`() {
        let found = findings(["ActiveState": "failed", "Result": "exit-code", "StatusText": "bad settings"])
        #expect(found.map(\.state) == [.fail])
        #expect(found.first?.message == "jobworker.service has failed (exit-code): bad settings")
        #expect(found.first?.advice?.contains("journalctl -u jobworker.service") == true)
    }

    @Test(arguments: [
        (
            ["ActiveState": "activating", "StatusText": "waits for the database"],
            "still starting: waits for the database"
        ),
        (["ActiveState": "inactive"], "enabled, but not running"),
        (["UnitFileState": "disabled"], "won't after the next boot"),
        (["NRestarts": "7"], "7 times"), (["NeedDaemonReload": "yes"], "changed on disk"),
        (["LoadState": "masked", "ActiveState": "inactive", "UnitFileState": "masked"], "masked"),
    ])
    func `what isn't as it should be is told with the command that mends it`(
        changes: [String: String], text: String
    ) {
        let found = findings(changes)
        #expect(found.map(\.state) == [.warn])
        #expect(found.first?.message.contains(text) == true && found.first?.advice != nil, "\(found)")
    }

    @Test func `a machine without the unit is fine`() {
        let text = "Id=jobworker.service\nLoadState=not-found\nActiveState=inactive\n"
        #expect(SystemdCheck.findings(SystemdCheck.parse(text)).map(\.state) == [.ok])
    }

    @Test func `systemd is not asked where it doesn't run the machine`() async {
        #expect(await SystemdCheck.units(program: "/bin/false", runtimeDirectory: "/nowhere") == nil)
    }
}
