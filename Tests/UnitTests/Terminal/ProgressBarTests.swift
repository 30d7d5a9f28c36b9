import Terminal
import Testing

struct ProgressBarTests {
    @Test func `a bar is full only when everything is done`() {
        #expect(ProgressBar(0, of: 10).text(width: 4) == "░░░░   0 %")
        #expect(ProgressBar(5, of: 10).text(width: 4) == "██░░  50 %")
        #expect(ProgressBar(999, of: 1000).text(width: 4) == "███░  99 %")
        #expect(ProgressBar(10, of: 10).text(width: 4) == "████  100 %")
    }

    @Test func `what makes no sense is drawn all the same`() {
        #expect(ProgressBar(1, of: 0).text(width: 2) == "░░   0 %")
        #expect(ProgressBar(share: -3).text(width: 2) == "░░   0 %")
        #expect(ProgressBar(share: .nan).text(width: 2) == "░░   0 %")
        #expect(ProgressBar(share: 9).text(width: 2) == "██  100 %")
    }
}
