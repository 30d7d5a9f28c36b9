extension Form<Int> {
    static func whole(_ range: ClosedRange<Int>) -> Form {
        Form("a whole number from \(range.lowerBound) to \(range.upperBound)") { text throws(BadValue) in
            guard let number = wholeNumber(text), range.contains(number) else { throw BadValue() }
            return number
        }
    }
}

extension Form<Double> {
    static func decimal(_ range: ClosedRange<Int>) -> Form {
        let allowed = "a number from \(range.lowerBound) to \(range.upperBound), with up to three decimals"
        return Form(allowed, show: { thousandthsText(Int(($0 * 1000).rounded())) }) { text throws(BadValue) in
            guard let number = thousandths(text), (range.lowerBound * 1000...range.upperBound * 1000).contains(number)
            else { throw BadValue() }
            return Double(number) / 1000
        }
    }
}

extension Form<Duration> {
    static func milliseconds(_ range: ClosedRange<Int>) -> Form {
        let allowed = "a whole number of milliseconds from \(range.lowerBound) to \(range.upperBound)"
        return Form(allowed, show: { "\($0.wholeMilliseconds)" }) { text throws(BadValue) in
            guard let number = wholeNumber(text), range.contains(number) else { throw BadValue() }
            return .milliseconds(number)
        }
    }

    static func seconds(_ range: ClosedRange<Double>) -> Form {
        let range = Int((range.lowerBound * 1000).rounded())...Int((range.upperBound * 1000).rounded())
        let bounds = "from \(thousandthsText(range.lowerBound)) to \(thousandthsText(range.upperBound))"
        let allowed = "a number of seconds \(bounds), with up to three decimals"
        return Form(allowed, show: { thousandthsText($0.wholeMilliseconds) }) { text throws(BadValue) in
            guard let number = thousandths(text), range.contains(number) else { throw BadValue() }
            return .milliseconds(number)
        }
    }

    static func days(_ range: ClosedRange<Int>) -> Form {
        let allowed = "a whole number of days from \(range.lowerBound) to \(range.upperBound)"
        return Form(allowed, show: { "\($0.components.seconds / 86_400)" }) { text throws(BadValue) in
            guard let number = wholeNumber(text), range.contains(number) else { throw BadValue() }
            return .seconds(number * 86_400)
        }
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

/// Digits and nothing else: no sign, no underscore, no space but around it.
func wholeNumber(_ text: some StringProtocol) -> Int? {
    let text = text.trimmingBlanks
    return text.utf8.allSatisfy(isDigit) ? Int(text) : nil
}

/// `1`, `1.5` or `0.125` as thousandths.
private func thousandths(_ text: String) -> Int? {
    let parts = text.trimmingBlanks.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    // Twelve digits are beyond every range, and can't overflow.
    guard let first = parts.first, first.utf8.count <= 12, let whole = wholeNumber(first) else { return nil }
    guard parts.count == 2 else { return whole * 1000 }
    let decimals = parts[1]
    guard (1...3).contains(decimals.utf8.count), decimals.utf8.allSatisfy(isDigit) else { return nil }
    let padded = decimals + String(repeating: "0", count: 3 - decimals.utf8.count)
    return Int(padded).map { whole * 1000 + $0 }
}

/// Thousandths as `1`, `1.5` or `0.125`.
private func thousandthsText(_ number: Int) -> String {
    var decimals = String(String(1000 + number % 1000).dropFirst())
    while decimals.last == "0" { decimals.removeLast() }
    return decimals.isEmpty ? "\(number / 1000)" : "\(number / 1000).\(decimals)"
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
