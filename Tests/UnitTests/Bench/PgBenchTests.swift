import Bench
import Testing

struct PgBenchTests {
    @Test
    func `the rate without the time to connect is read from pgbench's output`() {
        let output = """
            pgbench (15.18 (Debian 15.18-0+deb12u1))
            transaction type: /tmp/script.sql
            scaling factor: 1
            query mode: prepared
            number of clients: 5
            number of transactions actually processed: 1000/1000
            number of failed transactions: 0 (0.000%)
            latency average = 0.674 ms
            initial connection time = 8.123 ms
            tps = 7411.254321 (without initial connection time)
            """
        #expect(PgBench.rate(in: output) == 7411.254321)
    }

    @Test
    func `of the two rates of an older pgbench the one without connecting counts, in whichever order`() {
        let lines = [
            "tps = 5000.5 (including connections establishing)", "tps = 6000.25 (excluding connections establishing)",
        ]
        #expect(PgBench.rate(in: lines.joined(separator: "\n")) == 6000.25)
        #expect(PgBench.rate(in: lines.reversed().joined(separator: "\n")) == 6000.25)
    }

    @Test(arguments: [
        "", "tps = many", "latency average = 1 ms",
        "number of failed transactions: 13 (1.300%)\ntps = 100 (without initial connection time)",
    ])
    func `an output that tells no rate, or of failures, gives none`(output: String) {
        #expect(PgBench.rate(in: output) == nil)
    }
}
