import Glibc
import JobWorker
import ServiceLifecycle

/// The machine code of this process, the program's own and its libraries', as the kernel has it mapped.
enum ProgramText {
    /// Takes all of it out of the process's resident memory (madvise(2), MADV_DONTNEED). What is needed again comes
    /// from the page cache at the next step into it, without a look at the disk; nobody ever writes to these pages,
    /// so nothing can be lost. Other mappings are left alone: theirs may hold what was relocated or written.
    /// - Returns: Bytes of address space that were looked at.
    @discardableResult
    static func unload() -> Int {
        var bytes = 0
        for range in ranges(in: mappings()) {
            guard let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
            if madvise(start, range.count, MADV_DONTNEED) == 0 { bytes += range.count }
        }
        return bytes
    }

    /// The kernel gives a page of this file at a time, which others take for its end.
    private static func mappings() -> String {
        let file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var text: [UInt8] = []
        var page = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &page, page.count)
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += page[..<count]
        }
    }

    /// Addresses of code that comes from files, out of a text in the form of proc(5), `/proc/pid/maps`.
    static func ranges(in maps: String) -> [Range<UInt>] {
        maps.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else {
                return nil
            }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
        }
    }
}

/// Gives back, once the worker works, what only its start needed: reading settings, connecting, the first statements
/// and the signing-in touch half of the program, and an idle worker turns in a small part of it.
struct StartupMemory: Service {
    let worker: any WorkerControl
    private static let look = Duration.milliseconds(500)
    /// What follows the start, such as the first looks at the queue, belongs to it.
    private static let settling = Duration.seconds(2)

    init(worker: any WorkerControl) { self.worker = worker }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while worker.state.snapshot.phase != .working {
                guard (try? await Task.sleep(for: Self.look)) != nil else { return }
            }
            guard (try? await Task.sleep(for: Self.settling)) != nil else { return }
            ProgramText.unload()
        }
        try? await gracefulShutdown()
    }
}
