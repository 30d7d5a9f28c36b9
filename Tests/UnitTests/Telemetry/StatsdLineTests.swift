@testable import Telemetry
import Testing

struct StatsdLineTests {
    @Test(arguments: [
        ("jobworker_jobs_total", "jobworker.jobs"), ("jobworker_queue_depth", "jobworker.queue_depth"),
        ("jobworker_job_duration_seconds", "jobworker.job_duration_seconds"),
        ("process_cpu_seconds_total", "jobworker.process.cpu_seconds"),
        ("process_open_fds", "jobworker.process.open_fds"),
        ("hb.requests", "jobworker.hb.requests"), ("größe:x|y", "jobworker.gr____e_x_y"),
    ])
    func `names are Prometheus' in one namespace, without the ending of its counters`(metric: String, name: String) {
        #expect(StatsdLine.name(of: metric) == name)
    }

    @Test func `counters, gauges and times have their types, numbers no needless digits`() {
        let line = StatsdLine(name: "jobworker_x", tags: [("queue", "a"), ("env", "test")])
        #expect(line.text(.counted(3)) == "jobworker.x:3|c|#queue:a,env:test")
        #expect(line.text(.set(0.5)) == "jobworker.x:0.5|g|#queue:a,env:test")
        #expect(line.text(.timed(seconds: 0.005)) == "jobworker.x:0.005|h|#queue:a,env:test")
        #expect(StatsdLine(name: "jobworker_x", tags: []).text(.counted(1)) == "jobworker.x:1|c")
    }

    @Test func `the text of a tag can't end it, nor its line`() {
        let line = StatsdLine(
            name: "x", tags: [("queue", "a|b,c#d\ne f@g:h"), ("long", String(repeating: "é", count: 999))])
        let tags = line.text(.counted(1)).split(separator: "#")[1].split(separator: ",")
        #expect(tags.count == 2)
        #expect(tags[0] == "queue:a_b_c_d_e_f_g:h")
        #expect(tags[1].count == "long:".count + 200)
    }
}
