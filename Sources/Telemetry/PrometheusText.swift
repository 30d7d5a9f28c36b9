/// The text format that Prometheus reads, version 0.0.4:
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
public enum PrometheusText {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All figures of a registry.
    public static func write(_ registry: MetricRegistry) -> String {
        var text = ""
        for family in registry.snapshot where !family.series.isEmpty { write(family, to: &text) }
        return text
    }

    private static func write(_ family: MetricRegistry.Family, to text: inout String) {
        let name = family.description.name
        if !family.description.help.isEmpty { text += "# HELP \(name) \(escapedHelp(family.description.help))\n" }
        text += "# TYPE \(name) \(family.description.kind.rawValue)\n"
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
            switch family.description.kind {
            case .counter, .gauge: text += "\(name)\(braced(labels)) \(number(series.value.number))\n"
            case .histogram: writeHistogram(name, labels, series, to: &text)
            }
        }
    }

    private static func writeHistogram(_ name: String, _ labels: String, _ series: Series, to text: inout String) {
        let value = series.value
        let prefix = labels.isEmpty ? "" : labels + ","
        var sum = 0
        for (bound, count) in zip(series.buckets, value.counts) {
            sum += count
            text += "\(name)_bucket{\(prefix)le=\"\(number(bound))\"} \(sum)\n"
        }
        text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(value.count)\n"
        text += "\(name)_sum\(braced(labels)) \(number(value.number))\n"
        text += "\(name)_count\(braced(labels)) \(value.count)\n"
    }

    /// Labels as they stand between the braces.
    static func labels(_ labels: [(String, String)]) -> String {
        labels.map { "\($0)=\"\(escapedValue($1))\"" }.joined(separator: ",")
    }

    private static func braced(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    /// Whole numbers without a point.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return String(value)
    }

    private static func escapedValue(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func escapedHelp(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    }
}
