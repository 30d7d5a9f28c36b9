import Bench
import Testing

struct ProcessUsageTests {
    private let status = "Name:\tjobworker\nVmPeak:\t 999 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t4\n"

    @Test
    func `memory and processor time are read from the lines of proc`() throws {
        let stat = "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 4 0 100 200 300"
        let usage = try #require(ProcessUsage(status: status, stat: stat))
        #expect(usage.residentMegabytes == 10)
        #expect(usage.peakMegabytes == 20)
        #expect(usage.cpu == .seconds(2))
    }

    @Test
    func `a line that is cut off gives nothing`() {
        #expect(ProcessUsage(status: status, stat: "4711 (x) S 1 2 3") == nil)
    }

    @Test
    func `of this process there is something to tell, of one that isn't there nothing`() throws {
        #expect(try #require(ProcessUsage()).residentBytes > 0)
        #expect(ProcessUsage(process: "0") == nil)
    }
}
