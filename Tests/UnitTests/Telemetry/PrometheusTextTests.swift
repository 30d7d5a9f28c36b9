import CoreMetrics
import Telemetry
import Testing

struct PrometheusTextTests {
    private let registry = MetricRegistry([
        .init(name: "jobs_total", kind: .counter, help: "Jobs, by \\ and\nline."),
        .init(name: "wait_seconds", kind: .histogram, help: "Wait.", buckets: [0.1, 1]),
        .init(name: "depth", kind: .gauge, help: "Depth."),
    ])

    @Test func `counters, gauges and histograms are written as Prometheus reads them`() {
        registry.makeCounter(label: "jobs_total", dimensions: [("queue", "a"), ("type", "x")]).increment(by: 3)
        let timer = registry.makeTimer(label: "wait_seconds", dimensions: [("queue", "a")])
        for nanoseconds: Int64 in [50_000_000, 100_000_000, 500_000_000, 5_000_000_000] {
            timer.recordNanoseconds(nanoseconds)
        }
        registry.setGauge("depth", 1.5)
        #expect(
            PrometheusText.write(registry) == """
                # HELP jobs_total Jobs, by \\\\ and\\nline.
                # TYPE jobs_total counter
                jobs_total{queue="a",type="x"} 3
                # HELP wait_seconds Wait.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{queue="a",le="0.1"} 2
                wait_seconds_bucket{queue="a",le="1"} 3
                wait_seconds_bucket{queue="a",le="+Inf"} 4
                wait_seconds_sum{queue="a"} 5.65
                wait_seconds_count{queue="a"} 4
                # HELP depth Depth.
                # TYPE depth gauge
                depth 1.5

                """)
    }

    @Test func `label values are escaped`() {
        registry.setGauge("depth", labels: [("queue", "a\"b\\c\nd")], 1)
        #expect(PrometheusText.write(registry).contains("depth{queue=\"a\\\"b\\\\c\\nd\"} 1\n"))
    }

    @Test func `the same labels are the same series, whoever counts`() {
        for _ in 0..<2 { registry.makeCounter(label: "jobs_total", dimensions: [("queue", "a")]).increment(by: 1) }
        #expect(PrometheusText.write(registry).contains("jobs_total{queue=\"a\"} 2\n"))
    }

    @Test func `a gauge that is replaced forgets what is gone`() {
        registry.replaceGauge("depth", [([("queue", "a")], 1), ([("queue", "b")], 2)])
        registry.replaceGauge("depth", [([("queue", "b")], 3)])
        let text = PrometheusText.write(registry)
        #expect(!text.contains("queue=\"a\""))
        #expect(text.contains("depth{queue=\"b\"} 3\n"))
    }

    @Test func `labels without end don't fill the memory`() {
        for number in 0..<6000 {
            registry.makeCounter(label: "jobs_total", dimensions: [("queue", "\(number)")]).increment(by: 1)
        }
        let lines = PrometheusText.write(registry).split(separator: "\n").filter { $0.hasPrefix("jobs_total") }
        #expect(lines.count == 5001)
        #expect(lines.contains("jobs_total 1000"))
    }
}
