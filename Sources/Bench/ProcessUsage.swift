import FoundationEssentials
import Glibc

/// What a process uses, as Linux tells (proc(5)).
package struct ProcessUsage: Sendable {
    /// Resident memory, and the most it ever was, in bytes.
    package let residentBytes: Int
    package let peakBytes: Int
    /// Processor time so far, of user and kernel; in steps of 10 ms.
    package let cpu: Duration

    /// - Parameter process: `self` or a number.
    /// - Returns: `nil` where there is no such process.
    package init?(process: String = "self") {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        else { return nil }
        self.init(status: status, stat: stat)
    }

    /// - Parameters:
    ///   - status: The text of `/proc/…/status`.
    ///   - stat: The text of `/proc/…/stat`.
    package init?(status: String, stat: String) {
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

    package var residentMegabytes: Double { Double(residentBytes) / 1_048_576 }
    package var peakMegabytes: Double { Double(peakBytes) / 1_048_576 }

    /// Processor time of this process so far, exact.
    static var ownProcessorTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
