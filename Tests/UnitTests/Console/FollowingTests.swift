import Console
import FoundationEssentials
import JobWorker
import Postgres
import Testing

struct FollowingTests {
    private func row(_ seconds: Int64, _ seq: Int) -> JobLogRecord {
        JobLogRecord(
            level: .info, message: "\(seq)", createdAt: Timestamp(microseconds: seconds * 1_000_000), seq: seq)
    }

    @Test func `a row is shown once, even if it is seen again`() {
        var tail = LogTail()
        let rows = [row(100, 1), row(101, 2)]
        #expect(tail.begin(rows, last: 10) == rows)
        #expect(tail.take(rows) == [])
        let next = row(102, 3)
        #expect(tail.take([rows[1], next]) == [next])
    }

    @Test func `a row that was written earlier and comes later is shown`() {
        var tail = LogTail()
        _ = tail.begin([row(100, 1), row(103, 3)], last: 10)
        let late = row(102, 2)
        #expect(tail.start < JobLogCursor(createdAt: Timestamp(microseconds: 102_000_000), seq: 2))
        #expect(tail.take([late]) == [late])
    }

    @Test func `rows that weren't wanted at the beginning don't come afterwards`() {
        var tail = LogTail()
        let rows = [row(100, 1), row(100, 2), row(100, 3)]
        #expect(tail.begin(rows, last: 1) == [rows[2]])
        #expect(tail.take(rows) == [])
        var silent = LogTail()
        #expect(silent.begin([rows[2]], last: 0) == [])
        #expect(silent.take(rows) == [])
    }

    @Test func `a watch tells what has changed, and nothing else`() {
        var feed = ChangeFeed()
        var job = JobSummary(id: UUID(), type: "noop", status: .pending, asOf: Timestamp(microseconds: 0))
        #expect(feed.changes(in: [job]) == [job])
        #expect(feed.changes(in: [job]) == [])
        job.percentage = 40
        #expect(feed.changes(in: [job]) == [job])
        job.workerID = "other"
        #expect(feed.changes(in: [job]) == [])
    }
}

extension JobLogCursor {
    fileprivate static func < (left: JobLogCursor, right: JobLogCursor) -> Bool {
        (left.createdAt, left.seq) < (right.createdAt, right.seq)
    }
}
