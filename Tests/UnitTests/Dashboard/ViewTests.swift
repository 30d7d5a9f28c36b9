import ControlPlane
import JobWorker
import Testing

@testable import Dashboard

/// What pages are made of: pictures, charts, what a form says.
@Suite struct ViewTests {
    private func node(_ id: String, _ title: String = "step") -> GraphView.Node {
        GraphView.Node(id: id, title: title, state: "blocked")
    }

    @Test func `a picture has each job behind all that it waits for, and an arrow for each of them`() throws {
        let graph = GraphView(
            title: "Jobs", nodes: [node("d"), node("a"), node("b"), node("c")],
            edges: [
                (from: "a", to: "b"), (from: "b", to: "d"), (from: "a", to: "c"), (from: "c", to: "d"),
                (from: "a", to: "d"),
            ])
        func left(_ id: String) throws -> Int {
            let box = try #require(graph.html.text.firstRange(of: "/dashboard/jobs/\(id)\"")?.upperBound)
            let x = try #require(graph.html.text[box...].firstRange(of: " x=\"")?.upperBound)
            return try #require(Int(graph.html.text[x...].prefix { $0 != "\"" }))
        }
        #expect(try left("a") < left("b"))
        #expect(try left("b") == left("c"))
        #expect(try left("b") < left("d"))
        #expect(graph.html.text.split(separator: "<path").count - 1 == 5)
    }

    @Test func `jobs that wait for each other in a circle still make a picture`() {
        let graph = GraphView(
            title: "Jobs", nodes: [node("a"), node("b")], edges: [(from: "a", to: "b"), (from: "b", to: "a")])
        #expect(graph.html.text.contains("<svg"))
    }

    @Test func `names of steps can't become markup in a picture`() {
        let graph = GraphView(title: "Jobs", nodes: [node("a", "</text><script>x</script>")], edges: [])
        #expect(!graph.html.text.contains("<script"))
    }

    @Test func `more jobs than anybody could look at make no picture`() {
        let graph = GraphView(title: "Jobs", nodes: (0...GraphView.nodesMax).map { node("\($0)") }, edges: [])
        #expect(!graph.html.text.contains("<svg"))
    }

    @Test func `a chart has a bar for each figure, none for nothing, and a table of them`() {
        let chart = Chart(
            title: "Ended", unit: "jobs",
            series: [
                .init(name: "completed", style: "good", values: [0, 4, 2]),
                .init(name: "failed", style: "bad", values: [0, 0, 2]),
            ], isStacked: true, span: 60)
        let text = chart.html.text
        #expect(text.split(separator: "<rect").count - 1 == 3)
        #expect(text.contains("highest 4 jobs"))
        #expect(text.split(separator: "<tr><td>").count - 1 == 2)
        #expect(!text.contains("style="))
    }

    @Test func `changes of a payload are lines of a path and JSON`() throws {
        let changes = try DeadLetterPages.changes("a.b = \"x = y\"\n\n  count=3 ")
        #expect(changes == [.init("a.b", "x = y"), .init("count", 3)])
        for wrong in ["a.b", "a = eu", "= 3", "a = "] {
            #expect(throws: APIError.self) { try DeadLetterPages.changes(wrong) }
        }
    }

    @Test func `figures have a blank between thousands, and say where counting ended`() {
        #expect(Words.grouped(1_234_567) == "1\u{202F}234\u{202F}567")
        #expect(Words.grouped(-12) == "−12")
        #expect(Words.count(OverviewFigures.countMax + 1) == "over 10\u{202F}000")
    }

    @Test func `what was read is shared for a moment, and longer while changes are heard of`() async throws {
        let change = Live<ContinuousClock.Instant?>(nil)
        let reads = Live(0)
        let shared = Shared<Int, Int>(lifetime: .zero) { change.value }
        func read() async throws -> Int {
            try await shared.value(of: 1) {
                reads.value += 1
                return reads.value
            }
        }
        #expect(try await read() == 1)
        #expect(try await read() == 2)
        change.value = .now - .seconds(60)
        #expect(try await read() == 2)
        change.value = .now
        #expect(try await read() == 3)
        #expect(try await read() == 3)
        await shared.forget()
        #expect(try await read() == 4)
    }
}
