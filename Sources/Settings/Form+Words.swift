extension Form<Bool> {
    static var boolean: Form {
        Form("true or false (also 1, 0, yes, no, on, off)") { text throws(BadValue) in
            switch text.trimmingBlanks.lowercased() {
            case "true", "1", "yes", "on": return true
            case "false", "0", "no", "off": return false
            default: throw BadValue()
            }
        }
    }
}

extension Form where Value: CaseIterable & RawRepresentable<String> {
    /// One of the cases, in upper or lower case.
    static func choice(synonyms: [String: Value] = [:]) -> Form {
        let words = Value.allCases.map(\.rawValue)
        let allowed = "one of \(words.joined(separator: ", "))"
        return Form(allowed, show: { $0.rawValue }) { text throws(BadValue) in
            let word = text.trimmingBlanks.lowercased()
            guard let value = Value(rawValue: word) ?? synonyms[word] else {
                throw BadValue(nearest(to: word, among: words).map { "did you mean \($0)?" })
            }
            return value
        }
    }
}

extension Form<String> {
    /// A word for people and for columns: printable, without spaces around it.
    static func label(max: Int) -> Form {
        Form("1 to \(max) characters without line breaks") { text throws(BadValue) in
            let label = text.trimmingBlanks
            guard (1...max).contains(label.unicodeScalars.count), label.unicodeScalars.allSatisfy(isPrintable) else {
                throw BadValue()
            }
            return label
        }
    }

    /// A word that may also be part of a file's name.
    static func fileNameWord(max: Int) -> Form {
        Form("1 to \(max) letters, digits, '-', '_', '.', ':', '@' or '\\', not beginning with '.'") {
            text throws(BadValue) in
            let word = text.trimmingBlanks
            guard (1...max).contains(word.utf8.count), word.first != ".",
                word.utf8.allSatisfy({ isWordByte($0) || ":@\\".utf8.contains($0) })
            else { throw BadValue() }
            return word
        }
    }

    /// - Parameter bytesMax: Without the zero byte at the end.
    static func path(_ noun: String, bytesMax: Int = 4095) -> Form {
        Form("\(noun), at most \(bytesMax) bytes") { text throws(BadValue) in
            let path = text.trimmingBlanks
            guard isPath(path, bytesMax: bytesMax) else { throw BadValue() }
            return path
        }
    }

    /// Comes without the slashes at its end.
    static var webAddress: Form {
        Form("an address that begins with https:// or http://, without user, '?' or '#'") { text throws(BadValue) in
            var address = text.trimmingBlanks
            while address.last == "/" { address.removeLast() }
            guard let scheme = ["https://", "http://"].first(where: { address.lowercased().hasPrefix($0) }),
                address.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
                !address.utf8.contains(where: { "?#\\".utf8.contains($0) })
            else { throw BadValue() }
            let host = address.dropFirst(scheme.count).prefix { $0 != "/" }
            guard HostPort.isHostWithOptionalPort(host) else { throw BadValue("its host or port can't be right") }
            return address
        }
    }
}

extension Form<Secret> {
    static var connection: Form {
        Form("a connection URI (postgresql://…) or a libpq string (host=… dbname=…)") { text throws(BadValue) in
            let connection = text.trimmingBlanks
            let isURI = ["postgresql://", "postgres://"].contains { connection.hasPrefix($0) }
            guard isURI || connection.contains("="), connection.unicodeScalars.allSatisfy(isPrintable) else {
                throw BadValue()
            }
            return Secret(connection)
        }
    }

    /// Taken byte by byte as it stands, blanks included.
    static var passphrase: Form {
        Form("text without line breaks") { text throws(BadValue) in
            guard !text.isEmpty, text.unicodeScalars.allSatisfy(isPrintable) else { throw BadValue() }
            return Secret(text)
        }
    }
}
