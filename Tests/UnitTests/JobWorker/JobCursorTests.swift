import FoundationEssentials
import JobWorker
import Postgres
import Testing

@Suite struct JobCursorTests {
    private let id = UUID()

    @Test func `a cursor can be passed on as text`() {
        let cursor = JobCursor(createdAt: Timestamp(microseconds: 1_795_558_551_204_109), id: id)
        #expect(JobCursor(text: cursor.text) == cursor)
        let timeless = JobCursor(createdAt: nil, id: id)
        #expect(JobCursor(text: timeless.text) == timeless)
    }

    @Test(arguments: [
        "", ".", "1", "1.x", "x.11111111-1111-1111-1111-111111111111", "1.11111111-1111-1111-1111-111111111111.2",
    ])
    func `anything else is no cursor`(text: String) {
        #expect(JobCursor(text: text) == nil)
    }

    @Test func `a filter knows whether it means every job`() {
        #expect(JobFilter().isEverything)
        var filter = JobFilter()
        filter.search = "x"
        #expect(!filter.isEverything)
    }
}
