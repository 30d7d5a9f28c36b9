import Synchronization

/// The windows Apollo counts in.
enum RateWindow: String, Sendable, CaseIterable {
    case minute, hour

    var length: Duration { self == .minute ? .seconds(60) : .seconds(3600) }
    /// How the headers spell it: `x-rate-limit-hourly`, but `x-rate-limit-minute`.
    var headerName: String { self == .minute ? "minute" : "hourly" }
}

/// Remembers what was asked, for the limits and for tests that count calls.
///
/// A `Mutex`: each access is a few dictionary operations, and nothing is awaited within.
final class RequestBook: Sendable {
    struct Refusal: Sendable {
        let window: RateWindow
        let limit: Int
    }

    private struct Count {
        var requests = 0
        var credits = 0
        var statuses: [Int: Int] = [:]

        var document: JSONText {
            [
                "requests": .number(requests), "credits": .number(credits),
                "statuses": .object(
                    Dictionary(uniqueKeysWithValues: statuses.map { (String($0), JSONText.number($1)) })),
            ]
        }
    }

    private struct State {
        var total = Count()
        var endpoints: [String: Count] = [:]
        var subjects: [String: Count] = [:]
        var keys: [String: Count] = [:]
        /// How often a subject was answered; counts separately from the figures above, which wait for the status.
        var asked: [String: Int] = [:]
        var windows: [String: [RateWindow: (start: ContinuousClock.Instant, used: Int)]] = [:]
        /// When each key was let in: the newest 100 000, for the busiest minute.
        var admitted: [String: [ContinuousClock.Instant]] = [:]
    }

    private let limits: [RateWindow: Int]
    private let state = Mutex(State())

    /// - Parameter limits: Requests of one key in a window; 0 or none sets no limit.
    init(limits: [RateWindow: Int]) {
        self.limits = limits.filter { $0.value > 0 }
    }

    /// Lets a request in, or names the window that is full. A refused request uses up nothing.
    func admit(key: String) -> Refusal? {
        let now = ContinuousClock.now
        return state.withLock { state in
            var windows = state.windows[key] ?? [:]
            for window in RateWindow.allCases {
                guard let limit = limits[window] else { continue }
                if let current = windows[window], current.start + window.length > now {
                    if current.used >= limit { return Refusal(window: window, limit: limit) }
                } else {
                    windows[window] = (now, 0)
                }
            }
            for window in windows.keys { windows[window]?.used += 1 }
            state.windows[key] = windows
            state.admitted[key, default: []].append(now)
            if let count = state.admitted[key]?.count, count > 100_000 {
                state.admitted[key]?.removeFirst(count - 50_000)
            }
            return nil
        }
    }

    /// How often this subject was answered before; raises the number.
    func earlierRequests(for subject: String) -> Int {
        state.withLock { state in
            defer { state.asked[subject, default: 0] += 1 }
            return state.asked[subject] ?? 0
        }
    }

    func usageHeaders(key: String) -> [(name: String, value: String)] {
        state.withLock { state in
            RateWindow.allCases.flatMap { window -> [(name: String, value: String)] in
                guard let limit = limits[window] else { return [] }
                let used = state.windows[key]?[window]?.used ?? 0
                let name = window.headerName
                return [
                    ("x-rate-limit-\(name)", String(limit)), ("x-\(name)-usage", String(used)),
                    ("x-\(name)-requests-left", String(max(0, limit - used))),
                ]
            }
        }
    }

    func record(endpoint: Endpoint, subject: String?, key: String?, status: Int, matched: Bool) {
        func add(_ count: inout Count) {
            count.requests += 1
            count.credits += matched ? 1 : 0
            count.statuses[status, default: 0] += 1
        }
        state.withLock { state in
            add(&state.total)
            add(&state.endpoints[endpoint.rawValue, default: Count()])
            if let subject { add(&state.subjects[subject, default: Count()]) }
            if let key { add(&state.keys[key, default: Count()]) }
        }
    }

    func reset() {
        state.withLock { $0 = State() }
    }

    /// `{"requests":n,"credits":n,"statuses":{…},"endpoints":{…},"subjects":{…},"keys":{…},"busiest_minute":{…}}`,
    /// keys by their last four characters.
    var document: JSONText {
        state.withLock { state in
            func table(_ counts: [String: Count]) -> JSONText { .object(counts.mapValues(\.document)) }
            // Keys with the same ending fall together.
            var endings: [String: Count] = [:]
            for (key, count) in state.keys {
                endings[String(key.suffix(4)), default: Count()].requests += count.requests
                endings[String(key.suffix(4)), default: Count()].credits += count.credits
                endings[String(key.suffix(4)), default: Count()].statuses.merge(count.statuses, uniquingKeysWith: +)
            }
            var busiest: [String: JSONText] = [:]
            for (key, times) in state.admitted {
                busiest[String(key.suffix(4))] = .number(RequestBook.largestWindow(times, length: .seconds(60)))
            }
            guard case .object(var document) = state.total.document else { return nil }
            document["endpoints"] = table(state.endpoints)
            document["subjects"] = table(state.subjects)
            document["keys"] = table(endings)
            document["busiest_minute"] = .object(busiest)
            return .object(document)
        }
    }

    /// The most moments that fall into any span of `length`. The moments are in order.
    private static func largestWindow(_ times: [ContinuousClock.Instant], length: Duration) -> Int {
        var first = 0
        var largest = 0
        for (index, time) in times.enumerated() {
            while times[first] + length <= time { first += 1 }
            largest = max(largest, index - first + 1)
        }
        return largest
    }
}
