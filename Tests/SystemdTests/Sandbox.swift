import Development
import FoundationEssentials
import Glibc
import Support

/// A throw-away machine with a real systemd as its first process, which can't outlive this process.
final class Sandbox: Sendable {
    /// The sandbox of the running test; the suite's trait makes one for each.
    @TaskLocal static var current: Sandbox?

    /// The folder of the package `jobworker`.
    static let project = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let script = project + "/scripts/systemd-sandbox"

    /// Why this machine can't have one; `nil` if it can. Found by trying, once.
    static let obstacle = Task<String?, Never> {
        do throws(DevelopmentError) {
            await (try await Sandbox.up()).down()
            return nil
        } catch {
            return error.description
        }
    }

    let name: String
    /// Its root folder as it is seen from outside.
    let root: String
    private let holder: TiedProcess

    private init(name: String, root: String, holder: TiedProcess) {
        self.name = name
        self.root = root
        self.holder = holder
    }

    /// Boots one; returns when its systemd has started everything.
    static func up() async throws(DevelopmentError) -> Sandbox {
        let name = "jobworker-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        let holder = TiedProcess(
            [
                "bash", "-c",
                """
                idle=
                trap '[ -z "$idle" ] || kill "$idle"; "$0" down "$1" 2>/dev/null; exit 0' TERM
                "$0" up "$1" || exit
                "$0" list | sed -n "s/^$1 /up /p"
                sleep infinity & idle=$!
                wait
                """, script, name,
            ],
            // Also where the project lies under a folder that a sandbox has of its own, as /tmp.
            environment: ["SANDBOX_BIND": project])
        var output: [Substring] = []
        for await line in holder.lines {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "up" {
                return Sandbox(name: name, root: "/proc/\(words[1])/root", holder: holder)
            }
            output.append(line[...])
        }
        await holder.ended()
        throw DevelopmentError(output.isEmpty ? "the sandbox ended without a word" : output.joined(separator: "; "))
    }

    func down() async {
        holder.send(.terminate)
        await holder.ended()
    }

    /// Runs a command inside, as root.
    func run(_ command: [String]) async -> (status: Int32, output: String) {
        await runProgram([Sandbox.script, "exec", name, "--"] + command)
    }

    /// Runs lines of bash inside, and stops at the first one that fails.
    /// - Returns: Their output, without the line end at its end.
    @discardableResult
    func bash(_ lines: String) async throws(DevelopmentError) -> String {
        let (status, output) = await run(["bash", "-euo", "pipefail", "-c", lines])
        guard status == 0 else { throw DevelopmentError("status \(status) of:\n\(lines)\n\(output)") }
        return output.hasSuffix("\n") ? String(output.dropLast()) : output
    }

    /// Writes a file inside.
    func write(_ text: String, to path: String) throws {
        let outside = URL(filePath: root + path)
        try FileManager.default.createDirectory(
            at: outside.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: outside)
    }

    /// Copies a file or a folder in.
    func copy(_ source: String, to target: String) async throws(DevelopmentError) {
        let (status, output) = await runProgram([Sandbox.script, "cp", name, source, target])
        guard status == 0 else { throw DevelopmentError("copying \(source): \(output)") }
    }

    /// A property of a unit, as `systemctl show` has it.
    func property(_ name: String, of unit: String) async throws(DevelopmentError) -> String {
        try await bash("systemctl show --value -p \(name) \(unit)")
    }

    /// The messages of a unit, its own and systemd's about it.
    func journal(_ unit: String = "jobworker", _ options: String = "") async throws(DevelopmentError) -> String {
        try await bash("journalctl -u \(unit) -o cat --no-pager \(options)")
    }
}
