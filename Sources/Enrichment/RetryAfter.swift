import Postgres

/// The header `Retry-After`: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
package enum RetryAfter {
    /// How long the other side asks to wait: 0 to 3600 s, longer wishes are cut to that.
    ///
    /// - Parameters:
    ///   - header: Seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///   - date: The same answer's `Date`: a date is measured by the clock it came from, not by ours.
    /// - Returns: `nil` for what can't be read, a negative number included.
    package static func delay(_ header: String?, date: String?) -> Duration? {
        guard let header = header?.cleaned else { return nil }
        if header.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            // More digits than fit are a long time as well.
            return .seconds(min(Int64(header) ?? 3600, 3600))
        }
        guard let until = httpDate(header), let now = date?.cleaned.flatMap({ httpDate($0) }) else { return nil }
        let delay = until.duration(since: now)
        return delay < .zero ? nil : min(delay, .seconds(3600))
    }

    /// The one form that may be sent today, IMF-fixdate.
    private static func httpDate(_ text: String) -> Timestamp? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", parts[1].utf8.count == 2,
            let month = months.firstIndex(of: String(parts[2]))
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return Timestamp(text: "\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }
}
