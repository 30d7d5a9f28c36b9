/// One change of a figure in the form of DogStatsD: `jobworker.jobs:1|c|#queue:default,outcome:completed`.
/// https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
///
/// Counters are `c`, gauges `g`, times `h` in seconds. Names are those of Prometheus in another dress, see `name(of:)`.
struct StatsdLine: Sendable {
    private let name: String
    /// From `|#` on; "" without tags.
    private let tags: String

    /// - Parameter tags: Labels of the series, then those that every line has.
    init(name: String, tags: [(String, String)]) {
        self.name = StatsdLine.name(of: name)
        let written = tags.map { "\(StatsdLine.word($0)):\(StatsdLine.value($1))" }
        self.tags = written.isEmpty ? "" : "|#" + written.joined(separator: ",")
    }

    func text(_ change: MetricRegistry.Change) -> String {
        switch change {
        case .counted(let amount): "\(name):\(PrometheusText.number(amount))|c\(tags)"
        case .set(let value): "\(name):\(PrometheusText.number(value))|g\(tags)"
        case .timed(let seconds): "\(name):\(PrometheusText.number(seconds))|h\(tags)"
        }
    }

    /// `jobworker_jobs_total` is `jobworker.jobs`, `process_open_fds` is `jobworker.process.open_fds`.
    ///
    /// All of them share one namespace, and counters lose the ending that is Prometheus' own custom.
    static func name(of metric: String) -> String {
        var rest = metric[...]
        if rest.hasSuffix("_total") { rest = rest.dropLast("_total".count) }
        if rest.hasPrefix("jobworker_") {
            rest = rest.dropFirst("jobworker_".count)
        } else if rest.hasPrefix("process_") {
            return "jobworker.process." + word(String(rest.dropFirst("process_".count)))
        }
        return "jobworker." + word(String(rest))
    }

    private static func word(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    byte
                default: UInt8(ascii: "_")
                }
            }, as: UTF8.self)
    }

    private static let valueCharactersMax = 200

    /// What separates lines, fields and tags can't be part of a tag, and nothing escapes it.
    private static func value(_ text: String) -> String {
        var value = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(valueCharactersMax) {
            let isSeparator = scalar == "|" || scalar == "," || scalar == "#" || scalar == "@" || scalar.value <= 0x20
            value.append(isSeparator || scalar.value == 0x7F ? "_" : scalar)
        }
        return String(value)
    }
}
