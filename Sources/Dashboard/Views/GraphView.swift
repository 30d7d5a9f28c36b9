/// Jobs that wait for each other, as a picture: from left to right, each behind those that it waits for.
struct GraphView {
    struct Node {
        let id: String
        let title: String
        let state: String
        var percentage: Int?
        /// The job that the page is about.
        var isHere = false
    }

    let title: String
    let nodes: [Node]
    /// From the job that others wait for.
    let edges: [(from: String, to: String)]

    /// A picture of more says nothing to anybody.
    static let nodesMax = 120

    private static let (width, height, gapX, gapY) = (170, 44, 50, 14)

    /// How many jobs stand before each, along the longest way. What goes round in a circle stays where it was found.
    private var depths: [String: Int] {
        var depths = Dictionary(nodes.map { ($0.id, 0) }, uniquingKeysWith: { first, _ in first })
        for _ in nodes {
            var isDone = true
            for edge in edges {
                guard let from = depths[edge.from], let to = depths[edge.to], to <= from, from < nodes.count else {
                    continue
                }
                depths[edge.to] = from + 1
                isDone = false
            }
            if isDone { break }
        }
        return depths
    }

    var html: HTML {
        guard nodes.count <= Self.nodesMax else {
            return "<p class=\"note\">Too many jobs for a picture; the table has them all.</p>"
        }
        let depths = depths
        var places: [String: (x: Int, y: Int)] = [:]
        var filled: [Int: Int] = [:]
        for node in nodes {
            let depth = depths[node.id] ?? 0
            let row = filled[depth, default: 0]
            filled[depth] = row + 1
            places[node.id] = (4 + depth * (Self.width + Self.gapX), 4 + row * (Self.height + Self.gapY))
        }
        let wide = (filled.keys.max() ?? 0) * (Self.width + Self.gapX) + Self.width + 8
        let high = (filled.values.max() ?? 1) * (Self.height + Self.gapY) - Self.gapY + 8
        let lines = edges.compactMap { edge -> HTML? in
            guard let from = places[edge.from], let to = places[edge.to] else { return nil }
            let (x1, y1, x2, y2) = (from.x + Self.width, from.y + Self.height / 2, to.x, to.y + Self.height / 2)
            let middle = (x1 + x2) / 2
            return "<path d=\"M\(x1) \(y1) C\(middle) \(y1) \(middle) \(y2) \(x2) \(y2)\"></path>"
        }
        return """
            <div class="wide" tabindex="0" role="region" aria-label="\(title), as a picture"><svg class="graph" width="\(wide)" height="\(high)" viewBox="0 0 \(wide) \(high)" role="group" aria-label="\(title)">
            <g class="edges" aria-hidden="true">\(lines)</g>\(nodes.compactMap { node in places[node.id].map { box(node, $0) } })</svg></div>
            """
    }

    private func box(_ node: Node, _ place: (x: Int, y: Int)) -> HTML {
        let words = node.state.replacing("_", with: " ") + (node.percentage.map { ", \($0) %" } ?? "")
        let shown = node.title.count > 22 ? node.title.prefix(21) + "…" : node.title[...]
        let done: HTML =
            node.percentage.map { percentage in
                "<rect class=\"done\" x=\"\(place.x)\" y=\"\(place.y + Self.height - 4)\" width=\"\(Self.width * min(max(percentage, 0), 100) / 100)\" height=\"4\"></rect>"
            } ?? ""
        return """
            <a href="/dashboard/jobs/\(address: node.id)" aria-label="\(node.title): \(words)"><g class="node state-\(node.state)\(node.isHere ? " here" : "")"><title>\(node.title): \(words)</title>
            <rect class="box" x="\(place.x)" y="\(place.y)" width="\(Self.width)" height="\(Self.height)" rx="6"></rect>\(done)
            <text x="\(place.x + 10)" y="\(place.y + 18)">\(String(shown))</text>
            <text class="second" x="\(place.x + 10)" y="\(place.y + 34)">\(Words.sign(node.state)) \(words)</text></g></a>
            """
    }
}
