/// Why no connection could be made, taken from libpq's verbose text.
struct ConnectionReport: Equatable {
    /// As without verbosity: no codes, no places in the server's source.
    let message: String
    /// Of the last server that was asked and refused.
    let sqlState: String?

    /// - Parameter text: Lines such as `… failed: FATAL:  28P01: password authentication failed for user "x"` and
    ///   `LOCATION:  auth_failed, auth.c:326`, the words in the server's language.
    init(_ text: String) {
        var state: String?
        var lines: [Substring] = []
        for line in text.split(separator: "\n") {
            if let match = line.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) {
                state = String(match.output.1)
                lines.append(line[..<match.range.lowerBound] + ": " + line[match.range.upperBound...])
            } else if line.firstMatch(of: #/^[^ ]+:  [a-z_0-9A-Z]+, [a-z_0-9A-Z]+\.c:[0-9]+$/#) == nil {
                lines.append(line)
            }
        }
        message = lines.joined(separator: "\n")
        sqlState = state
    }
}
