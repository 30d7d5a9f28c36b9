import Glibc
import Synchronization
import Testing

@testable import Logs

@Suite struct LogWriterTests {
    /// Reads of what it writes come when the test says so.
    private final class Pipe: Sendable {
        let reader, writer: Int32

        init() {
            var ends: [Int32] = [0, 0]
            precondition(pipe(&ends) == 0)
            (reader, writer) = (ends[0], ends[1])
        }

        deinit {
            close(reader)
            close(writer)
        }

        func fill() {
            let flags = fcntl(writer, F_GETFL)
            _ = fcntl(writer, F_SETFL, flags | O_NONBLOCK)
            let zeros = [UInt8](repeating: 0, count: 4096)
            while write(writer, zeros, zeros.count) > 0 {}
            _ = fcntl(writer, F_SETFL, flags)
        }

        /// What isn't of `fill`, up to `count` bytes.
        func text(count: Int) -> String {
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while text.count < count {
                let size = read(reader, &buffer, buffer.count)
                guard size > 0 else { break }
                text += buffer.prefix(size).filter { $0 != 0 }
            }
            return String(decoding: text, as: UTF8.self)
        }
    }

    private func writer(to pipe: Pipe, linesMax: Int = 1000) -> LogWriter {
        LogWriter(linesMax: linesMax) { hasRoom(for: $0.size, in: pipe.writer) }
    }

    private func line(_ text: String, to pipe: Pipe) -> LogWriter.Line {
        LogWriter.Line(size: text.utf8.count) { writeAll(Array(text.utf8), to: pipe.writer) }
    }

    @Test func `while there is room a line is written by who logs it`() {
        let pipe = Pipe()
        let thread = Mutex<pthread_t?>(nil)
        let writer = writer(to: pipe)
        writer.write(LogWriter.Line(size: 1) { thread.withLock { $0 = pthread_self() } })
        #expect(thread.withLock { $0 } == pthread_self())
    }

    @Test func `who logs doesn't wait for a reader that has stopped, which later finds all lines in their order`() {
        let pipe = Pipe()
        let writer = writer(to: pipe)
        pipe.fill()
        let lines = (0..<20).map { "line \($0)\n" }
        for text in lines { writer.write(line(text, to: pipe)) }
        let all = lines.joined()
        #expect(pipe.text(count: all.utf8.count) == all)
        writer.flush(milliseconds: 10_000)
        // From here on at once again.
        writer.write(line("last\n", to: pipe))
        #expect(!writer.isFull && pipe.text(count: 5) == "last\n")
    }

    @Test func `lines beyond the bound are dropped`() {
        let pipe = Pipe()
        let writer = writer(to: pipe, linesMax: 3)
        pipe.fill()
        for number in 0..<8 {
            #expect(writer.isFull == (number >= 3))
            writer.write(line("\(number)", to: pipe))
        }
        #expect(pipe.text(count: 6) == "012345")
        writer.flush(milliseconds: 10_000)
        writer.write(line("x", to: pipe))
        #expect(pipe.text(count: 1) == "x")
    }

    @Test func `at the end of the process nobody waits long for a reader that has stopped`() {
        let pipe = Pipe()
        let writer = writer(to: pipe)
        pipe.fill()
        writer.write(line("x", to: pipe))
        writer.flush(milliseconds: 10)
        #expect(pipe.text(count: 1) == "x")
    }

    @Test func `a line that is longer than what a ready pipe takes may have to wait`() {
        let pipe = Pipe()
        #expect(hasRoom(for: 4096, in: pipe.writer))
        #expect(!hasRoom(for: 4097, in: pipe.writer))
        let file = open("/dev/null", O_WRONLY)
        #expect(hasRoom(for: 4097, in: file))
        close(file)
    }

    @Test func `a line is written whole where somebody has made the descriptor non-blocking`() {
        let pipe = Pipe()
        let writer = writer(to: pipe)
        pipe.fill()
        _ = fcntl(pipe.writer, F_SETFL, fcntl(pipe.writer, F_GETFL) | O_NONBLOCK)
        let text = String(repeating: "x", count: 8000)
        writer.write(line(text, to: pipe))
        #expect(pipe.text(count: text.utf8.count) == text)
    }

    @Test func `where nobody reads any more there is nothing to wait for`() {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        #expect(hasRoom(for: 5000, in: ends[1]))
        close(ends[1])
    }
}
