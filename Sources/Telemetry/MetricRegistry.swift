public import CoreMetrics
import Synchronization

/// Holds the figures of this process, for swift-metrics to write and Prometheus to read.
///
/// Timers become histograms in seconds. What isn't declared gets a kind by how it is used, and no help.
public final class MetricRegistry: MetricsFactory {
    /// How a metric is shown.
    public struct Description: Sendable, Hashable {
        public enum Kind: String, Sendable, Hashable { case counter, gauge, histogram }

        public let name: String
        public let kind: Kind
        public let help: String
        /// Upper bounds, ascending; for histograms.
        public let buckets: [Double]

        public init(name: String, kind: Kind, help: String, buckets: [Double] = []) {
            self.name = name
            self.kind = kind
            self.help = help
            self.buckets = buckets
        }
    }

    /// Where each change of a series goes as well, such as DogStatsD.
    public typealias Observer = @Sendable (_ change: Change) -> Void
    /// Makes the observer of one series.
    public typealias Observing = @Sendable (_ name: String, _ labels: [(String, String)]) -> Observer

    public enum Change: Sendable, Hashable {
        case counted(Double)
        case set(Double)
        case timed(seconds: Double)
    }

    struct Family {
        var description: Description
        /// By the labels as they are written between the braces.
        var series: [String: Series] = [:]
    }

    private let families: Mutex<[String: Family]>
    private let order: [String]
    private let observing: Observing?
    /// Labels are partly others' texts: beyond so many, one series takes the rest.
    private static let seriesMax = 5000

    /// - Parameters:
    ///   - descriptions: In the order in which they are shown.
    ///   - observing: Called once for each series.
    public init(_ descriptions: [Description], observing: Observing? = nil) {
        order = descriptions.map(\.name)
        self.observing = observing
        families = Mutex(
            Dictionary(descriptions.map { ($0.name, Family(description: $0)) }, uniquingKeysWith: { first, _ in first })
        )
    }

    /// The families in the order of their declaration, then those that weren't declared.
    var snapshot: [Family] {
        families.withLock { families in
            let others = families.keys.filter { !order.contains($0) }.sorted()
            return (order + others).compactMap { families[$0] }
        }
    }

    func series(_ name: String, _ labels: [(String, String)], kind: Description.Kind) -> Series {
        let text = PrometheusText.labels(labels)
        return families.withLock { families in
            var family =
                families[name] ?? Family(description: Description(name: name, kind: kind, help: "", buckets: []))
            if let known = family.series[text] { return known }
            guard family.series.count < Self.seriesMax else {
                let rest =
                    family.series[""] ?? Series(buckets: family.description.buckets, observer: observing?(name, []))
                family.series[""] = rest
                families[name] = family
                return rest
            }
            let made = Series(buckets: family.description.buckets, observer: observing?(name, labels))
            family.series[text] = made
            families[name] = family
            return made
        }
    }

    /// Sets a gauge. - Parameter labels: In the order in which they are shown.
    public func setGauge(_ name: String, labels: [(String, String)] = [], _ value: Double) {
        series(name, labels, kind: .gauge).set(value)
    }

    /// Replaces all series of a gauge: what is not among them is gone. An observer, which can't forget, is told 0.
    public func replaceGauge(_ name: String, _ values: [(labels: [(String, String)], value: Double)]) {
        let kept = Set(values.map { PrometheusText.labels($0.labels) })
        let gone = families.withLock { families in
            let all = families[name]?.series ?? [:]
            families[name]?.series = all.filter { kept.contains($0.key) }
            return all.filter { !kept.contains($0.key) }
        }
        for series in gone.values { series.set(0.0) }
        for (labels, value) in values { setGauge(name, labels: labels, value) }
    }

    // MARK: What swift-metrics asks for

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, kind: .counter)
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        series(label, dimensions, kind: aggregate ? .histogram : .gauge)
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, kind: .gauge)
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, kind: .histogram)
    }

    // A figure outlives whoever counted it.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}
}
