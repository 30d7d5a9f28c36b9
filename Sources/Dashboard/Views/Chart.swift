/// Bars along a time, with the figures behind them as a table.
struct Chart {
    struct Series {
        let name: String
        /// Chooses the colour.
        let style: String
        /// The oldest first.
        let values: [Double]
    }

    let title: String
    let unit: String
    /// Stacked, the first at the bottom; or one in front of the other, the first at the back.
    let series: [Series]
    var isStacked = false
    /// Of a column, seconds.
    let span: Int
    var show: (Double) -> String = Chart.rounded

    private static let height = 100.0

    private var tops: [Double] {
        (0..<columns).map { column in
            let values = series.map { $0.values[column] }
            return isStacked ? values.reduce(0, +) : values.max() ?? 0
        }
    }

    private var columns: Int { series.first?.values.count ?? 0 }

    var html: HTML {
        let highest = tops.max() ?? 0
        let top = highest > 0 ? highest : 1
        var bars: [HTML] = []
        for column in 0..<columns {
            var base = 0.0
            for line in series {
                let value = line.values[column]
                guard value > 0 else { continue }
                let height = max(1, (value / top * Self.height).rounded())
                let y = Self.height - height - (isStacked ? base : 0)
                bars.append(
                    """
                    <rect class="\(line.style)" x="\(column * 6)" y="\(Self.rounded(y))" width="5" height="\(Self.rounded(height))"><title>\(Self.ago(columns - 1 - column, span)): \(line.name) \(show(value))</title></rect>
                    """)
                base += height
            }
        }
        let legend =
            series.count < 2
            ? []
            : series.map { "<li><span class=\"key \($0.style)\" aria-hidden=\"true\"></span>\($0.name)</li>" as HTML }
        let rows = (0..<columns).reversed().filter { tops[$0] > 0 }.map { column -> HTML in
            let cells = series.map { "<td>\(show($0.values[column]))</td>" as HTML }
            return "<tr><td>\(Self.ago(columns - 1 - column, span))</td>\(cells)</tr>"
        }
        let heads = series.map { "<th scope=\"col\">\($0.name)</th>" as HTML }
        return """
            <figure class="chart"><figcaption>\(title) <span class="note">highest \(show(highest)) \(unit)</span></figcaption>
            <svg viewBox="0 0 \(columns * 6) 100" preserveAspectRatio="none" role="img" aria-label="\(title): highest \(show(highest)) \(unit)">\(bars)</svg>
            <p class="axis" aria-hidden="true"><span>\(Self.ago(columns, span))</span><span>now</span></p>
            \(legend.isEmpty ? HTML.nothing : "<ul class=\"legend\">\(legend)</ul>")
            <details><summary>As a table</summary><div class="wide"><table><caption>\(title)</caption>
            <thead><tr><th scope="col">When</th>\(heads)</tr></thead><tbody>\(rows)</tbody></table></div></details></figure>
            """
    }

    private static func ago(_ columns: Int, _ span: Int) -> String {
        let minutes = columns * span / 60
        if minutes == 0 { return "now" }
        return minutes < 120
            ? "\(minutes) min ago" : "\(minutes / 60) h\(minutes % 60 == 0 ? "" : " \(minutes % 60) min") ago"
    }

    static func rounded(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String((value * 10).rounded() / 10)
    }
}
