import FoundationEssentials

/// What a process uses, as Linux tells (proc(5)).
package struct ProcessUsage: Sendable {
    /// Resident memory, and the most it ever was, in bytes.
    package let residentBytes: Int
    package let peakBytes: Int
    /// Processor time so far, of user and kernel.
    package let cpu: Duration

    /// - Parameter process: `self` or a number.
    /// - Returns: `nil` where there is no such process.
    package init?(process: String = "self") {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        else { return nil }
        func kilobytes(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
        }
        residentBytes = kilobytes("VmRSS") * 1024
        peakBytes = kilobytes("VmHWM") * 1024
        // After the name in brackets: utime and stime are fields 14 and 15, in hundredths of a second.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Int(fields[12]), let system = Int(fields[13]) else { return nil }
        cpu = .milliseconds((user + system) * 10)
    }
}
