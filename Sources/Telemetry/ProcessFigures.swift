import FoundationEssentials
import Glibc

/// What Linux tells of this process (proc(5)), under the names that Prometheus' client libraries use:
/// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
public struct ProcessFigures: Sendable {
    public static let descriptions: [MetricRegistry.Description] = [
        .init(name: "process_cpu_seconds_total", kind: .counter, help: "Processor time used, of user and system."),
        .init(name: "process_resident_memory_bytes", kind: .gauge, help: "Resident memory."),
        .init(name: "process_virtual_memory_bytes", kind: .gauge, help: "Virtual memory."),
        .init(name: "process_open_fds", kind: .gauge, help: "Open file descriptors."),
        .init(name: "process_max_fds", kind: .gauge, help: "Most file descriptors that may be open."),
        .init(name: "process_threads", kind: .gauge, help: "Threads."),
        .init(name: "process_start_time_seconds", kind: .gauge, help: "When it was started, since 1970."),
    ]

    private let started: Double

    public init() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        started = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    /// Writes them as they are now. Reads files of the kernel, which are made as they are read.
    public func update(_ registry: MetricRegistry) {
        registry.setGauge("process_start_time_seconds", started)
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            registry.setGauge("process_max_fds", Double(limit.rlim_cur))
        }
        if let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            // One of them is the folder itself.
            registry.setGauge("process_open_fds", Double(max(0, names.count - 1)))
        }
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            registry.setGauge("process_cpu_seconds_total", seconds(usage.ru_utime) + seconds(usage.ru_stime))
        }
        // After the name in brackets: threads, virtual bytes and resident pages are fields 20, 23 and 24.
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8) else { return }
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 22 else { return }
        registry.setGauge("process_threads", Double(fields[18]) ?? 0)
        registry.setGauge("process_virtual_memory_bytes", Double(fields[21]) ?? 0)
        registry.setGauge(
            "process_resident_memory_bytes", (Double(fields[22]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))))
    }
}
