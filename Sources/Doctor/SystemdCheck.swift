import FoundationEssentials
import Settings
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
    /// `nil` for no limit, and where the unit has none.
    var stopTimeout: Duration?

    var isService: Bool { id.hasSuffix(".service") }
}

enum SystemdCheck {
    private static let properties =
        "Id,LoadState,ActiveState,Result,UnitFileState,NRestarts,StatusText,NeedDaemonReload,TimeoutStopUSec"
    /// What a worker needs after its jobs: 10 s to give them back.
    private static let grace = Duration.seconds(10)

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
            case "TimeoutStopUSec": unit.stopTimeout = span(value)
            default: break
            }
        }
        return units
    }

    /// A length of time as systemd prints it: `2min 30s`, `infinity`.
    static func span(_ text: String) -> Duration? {
        let units: [String: Double] = [
            "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_629_800,
            "y": 31_557_600,
        ]
        var total = 0.0
        for word in text.split(separator: " ") {
            let digits = word.prefix { $0.isNumber || $0 == "." }
            guard let number = Double(digits), let unit = units[String(word.dropFirst(digits.count))] else {
                return nil
            }
            total += number * unit
        }
        return text.isEmpty ? nil : .seconds(total)
    }

    static func findings(_ units: [UnitState], shutdownTimeout: Duration) -> [Finding] {
        let loaded = units.filter { $0.load == "loaded" || $0.load == "masked" || $0.load == "bad-setting" }
        let services = loaded.filter { $0.isService }
        guard !services.isEmpty else { return [.ok("systemd", "has no unit of jobworker on this machine")] }
        // Any of these starts the worker at boot, or when somebody connects.
        let isStartedElsewhere = loaded.contains { !$0.isService && $0.file == "enabled" }
        var findings: [Finding] = []
        for unit in services {
            findings += self.findings(unit, shutdownTimeout, isStartedElsewhere: isStartedElsewhere)
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

    private static func findings(
        _ unit: UnitState, _ shutdownTimeout: Duration, isStartedElsewhere: Bool
    ) -> [Finding] {
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
        if let limit = unit.stopTimeout, limit < shutdownTimeout + grace {
            warn(
                "is killed \(limit.components.seconds) s after a stop, while WORKER_SHUTDOWN_TIMEOUT_SECONDS gives jobs "
                    + "\(shutdownTimeout.components.seconds) s",
                "Set TimeoutStopSec= to \((shutdownTimeout + .seconds(30)).components.seconds): systemctl edit \(unit.id)"
            )
        }
        return findings
    }
}

/// Whether there is a directory of this path.
private func isDirectory(_ path: String) -> Bool {
    var isDirectory = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
}
