import FoundationEssentials
import Subprocess

/// A unit of this machine, as `systemctl show` tells of it.
struct UnitState: Sendable, Hashable {
    var id = ""
    var load = ""
    var active = ""
    var result = ""
    /// Whether it starts at boot: `enabled`, `disabled`, …
    var file = ""
    var restarts = 0
    var statusText = ""
    var needsReload = false

    var isService: Bool { id.hasSuffix(".service") }
}

enum SystemdCheck {
    private static let properties =
        "Id,LoadState,ActiveState,Result,UnitFileState,NRestarts,StatusText,NeedDaemonReload"

    /// Asks systemd for the units of jobworker.
    /// - Parameters:
    ///   - program: What is asked.
    ///   - runtimeDirectory: Is there where systemd runs the machine.
    /// - Returns: `nil` where there is no systemd to ask.
    static func units(
        program: String = "systemctl", runtimeDirectory: String = "/run/systemd/system"
    ) async -> [UnitState]? {
        guard isDirectory(runtimeDirectory) else { return nil }
        let arguments = [
            "show", "--no-pager", "--property", properties, "jobworker.service", "jobworker@*.service",
            "jobworker.socket", "jobworker.target",
        ]
        guard
            let run = try? await Subprocess.run(
                .name(program), arguments: Arguments(arguments), output: .string(limit: 1 << 20), error: .discarded)
        else { return nil }
        return parse(run.standardOutput)
    }

    /// Blocks of `Name=value` lines with a blank line between them.
    static func parse(_ text: String) -> [UnitState] {
        var units: [UnitState] = []
        var unit = UnitState()
        for line in (text + "\n\n").split(separator: "\n", omittingEmptySubsequences: false) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                if !unit.id.isEmpty { units.append(unit) }
                unit = UnitState()
                continue
            }
            let value = String(parts[1])
            switch parts[0] {
            case "Id": unit.id = value
            case "LoadState": unit.load = value
            case "ActiveState": unit.active = value
            case "Result": unit.result = value
            case "UnitFileState": unit.file = value
            case "NRestarts": unit.restarts = Int(value) ?? 0
            case "StatusText": unit.statusText = value
            case "NeedDaemonReload": unit.needsReload = value == "yes"
            default: break
            }
        }
        return units
    }

    static func findings(_ units: [UnitState]) -> [Finding] {
        let loaded = units.filter { $0.load == "loaded" || $0.load == "masked" || $0.load == "bad-setting" }
        let services = loaded.filter { $0.isService }
        guard !services.isEmpty else { return [.ok("systemd", "has no unit of jobworker on this machine")] }
        // Any of these starts the worker at boot, or when somebody connects.
        let isStartedElsewhere = loaded.contains { !$0.isService && $0.file == "enabled" }
        var findings: [Finding] = []
        for unit in services {
            findings += self.findings(unit, isStartedElsewhere: isStartedElsewhere)
        }
        let running = services.filter { $0.active == "active" }.map(\.id)
        guard findings.isEmpty else { return findings }
        return [
            .ok(
                "systemd",
                running.isEmpty
                    ? "\(listed(services.map(\.id))) is not running, and not enabled" : "\(listed(running)): active")
        ]
    }

    private static func findings(_ unit: UnitState, isStartedElsewhere: Bool) -> [Finding] {
        let status = unit.statusText.isEmpty ? "" : ": \(unit.statusText)"
        var findings: [Finding] = []
        func warn(_ text: String, _ advice: String) {
            findings.append(.warn("systemd", "\(unit.id) \(text)", advice: advice))
        }
        if unit.load == "masked" { warn("is masked and can't be started", "systemctl unmask \(unit.id)") }
        if unit.load == "bad-setting" { warn("has a mistake in it", "systemd-analyze verify \(unit.id)") }
        switch unit.active {
        case "failed":
            findings.append(
                .fail(
                    "systemd", "\(unit.id) has failed (\(unit.result))\(status)",
                    advice: "journalctl -u \(unit.id) -e tells why; then systemctl start \(unit.id)"))
        case "activating": warn("is still starting\(status)", "journalctl -u \(unit.id) -e tells what it waits for.")
        case "inactive" where unit.file == "enabled":
            warn("is enabled, but not running", "systemctl start \(unit.id)")
        case "active" where unit.file == "disabled" && !isStartedElsewhere:
            warn("runs, but won't after the next boot", "systemctl enable \(unit.id)")
        default: break
        }
        if unit.restarts >= 3 {
            warn(
                "was started again \(unit.restarts) times by itself", "journalctl -u \(unit.id) -e tells why it ended.")
        }
        if unit.needsReload { warn("has changed on disk since systemd read it", "systemctl daemon-reload") }
        return findings
    }
}

/// Whether there is a directory of this path.
private func isDirectory(_ path: String) -> Bool {
    var isDirectory = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
}
