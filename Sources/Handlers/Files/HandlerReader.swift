import YAML

/// Reads the members of one handler, each with its line.
struct HandlerReader {
    typealias Problem = HandlerFile.Problem

    private let path: String
    private var jobType: String?
    private var command: [String]?
    private var url: String?
    private var timeout: Duration?
    private var maxConcurrent: Int?
    private var audience: HandlerDefinition.Audience?
    private var environment: [String: String]?
    private var directory: String?
    private var user: String?
    private var limits: Launch.Limits?
    private var poolSize: Int?
    private var idleTimeout: Duration?
    private var secretFile: String?
    private var userAgent: String?
    /// The lines of what stands there, for what is judged as a whole.
    private var lines: [String: Int] = [:]

    static let common = ["job_type", "exec", "http", "timeout", "max_concurrent", "allow"]
    static let ofExec = ["env", "directory", "user", "limits", "pool", "idle_timeout"]
    static let ofHTTP = ["secret_file", "user_agent"]

    init(path: String) { self.path = path }

    mutating func take(_ pair: YAMLNode.Pair) throws(Problem) {
        let (key, value) = (pair.key.text ?? "", pair.value)
        lines[key] = pair.key.line
        switch key {
        case "job_type": jobType = try text(value, key, 1...100)
        case "exec": command = try self.command(value)
        case "http": url = try self.url(value)
        case "timeout": timeout = .seconds(try whole(value, key, 1...2_592_000))
        case "max_concurrent": maxConcurrent = try whole(value, key, 1...10_000)
        case "allow":
            guard let word = value.text.flatMap({ HandlerDefinition.Audience(rawValue: $0) }) else {
                throw wrong(value, "allow must be members or operators")
            }
            audience = word
        case "env": environment = try variables(value)
        case "directory":
            let text = try text(value, key, 1...4000)
            guard text.hasPrefix("/") else { throw wrong(value, "directory must begin with /") }
            directory = text
        case "user": user = try text(value, key, 1...64)
        case "limits": limits = try self.limits(value)
        case "pool": poolSize = try whole(value, key, 1...1000)
        case "idle_timeout": idleTimeout = .seconds(try whole(value, key, 1...86_400))
        case "secret_file": secretFile = try text(value, key, 1...4000)
        case "user_agent":
            let text = try text(value, key, 1...200)
            guard text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
                throw wrong(value, "user_agent must be plain ASCII text")
            }
            userAgent = text
        default:
            let known = (Self.common + Self.ofExec + Self.ofHTTP).joined(separator: ", ")
            throw Problem(file: path, line: pair.key.line, text: "'\(key.prefix(40))' is not known; known are \(known)")
        }
    }

    func handler(line: Int) throws(Problem) -> HandlerDefinition {
        guard let jobType else { throw Problem(file: path, line: line, text: "the handler lacks job_type") }
        let kind: HandlerDefinition.Kind
        switch (command, url) {
        case (let command?, nil):
            try refuse(Self.ofHTTP, beside: "exec")
            var settings = ExecSettings(command: command, directory: directory ?? Self.folder(of: path))
            settings.environment = environment ?? [:]
            settings.user = user
            settings.limits = limits ?? Launch.Limits()
            settings.poolSize = poolSize
            if let idleTimeout {
                guard poolSize != nil else { throw problem("idle_timeout", "idle_timeout goes with pool") }
                settings.idleTimeout = idleTimeout
            }
            kind = .exec(settings)
        case (nil, let url?):
            try refuse(Self.ofExec, beside: "http")
            guard let secretFile else {
                throw Problem(
                    file: path, line: lines["http"],
                    text:
                        "an http handler needs secret_file: a path, or the name of a systemd credential, with a secret "
                        + "such as whsec_…")
            }
            kind = .http(HTTPSettings(url: url, secretFile: secretFile, userAgent: userAgent))
        case (nil, nil): throw Problem(file: path, line: line, text: "'\(jobType)' lacks exec or http")
        case (_?, _?): throw problem("http", "exec and http exclude each other")
        }
        let usual: HandlerDefinition.Audience =
            switch kind {
            case .exec: .operators
            case .http: .members
            }
        return HandlerDefinition(
            jobType: jobType, kind: kind, timeout: timeout, maxConcurrent: maxConcurrent, audience: audience ?? usual,
            path: path, line: line)
    }

    private func refuse(_ keys: [String], beside kind: String) throws(Problem) {
        for key in keys where lines[key] != nil { throw problem(key, "\(key) does not go with \(kind)") }
    }

    private func problem(_ key: String, _ text: String) -> Problem { Problem(file: path, line: lines[key], text: text) }

    private func wrong(_ node: YAMLNode, _ text: String) -> Problem { Problem(file: path, line: node.line, text: text) }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    // MARK: Values

    private func command(_ node: YAMLNode) throws(Problem) -> [String] {
        guard case .sequence(let nodes) = node.content, !nodes.isEmpty else {
            throw wrong(
                node,
                "exec must be a list: the program, then its arguments, such as [\"/usr/bin/python3\", \"report.py\"]")
        }
        var words: [String] = []
        for node in nodes {
            guard let word = node.text, !word.utf8.contains(0) else {
                throw wrong(node, "exec must be a list of texts")
            }
            words.append(word)
        }
        guard let program = words.first, !program.isEmpty else { throw wrong(node, "exec names no program") }
        return words
    }

    private func url(_ node: YAMLNode) throws(Problem) -> String {
        let text = try text(node, "http", 1...2000)
        guard text.hasPrefix("https://") || text.hasPrefix("http://"),
            text.utf8.allSatisfy({ (0x21..<0x7F).contains($0) })
        else { throw wrong(node, "http must be a URL that begins with https:// or http://") }
        let authority = text.drop { $0 != ":" }.dropFirst(3).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@") else {
            throw wrong(node, "http must name a host, and no user or password")
        }
        return text
    }

    private func variables(_ node: YAMLNode) throws(Problem) -> [String: String] {
        guard case .mapping(let pairs) = node.content else {
            throw wrong(node, "env must be a mapping of names to texts")
        }
        var variables: [String: String] = [:]
        for pair in pairs {
            guard let name = pair.key.text, !name.isEmpty, name.first?.isNumber == false,
                name.utf8.allSatisfy({ Self.isWordByte($0) })
            else { throw wrong(pair.key, "env: a name has letters, digits and _ only, and begins with no digit") }
            guard !name.hasPrefix("JOB_"), name != "WORKSPACE_ID" else {
                throw wrong(pair.key, "env: \(name) is set by the worker")
            }
            guard let value = pair.value.text, !value.utf8.contains(0) else {
                throw wrong(pair.value, "env: \(name) must be a text")
            }
            variables[name] = value
        }
        return variables
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private func limits(_ node: YAMLNode) throws(Problem) -> Launch.Limits {
        guard case .mapping(let pairs) = node.content else {
            throw wrong(node, "limits must be a mapping with memory, cpu_seconds, open_files")
        }
        var limits = Launch.Limits()
        for pair in pairs {
            switch pair.key.text {
            case "memory": limits.memoryBytes = try bytes(pair.value)
            case "cpu_seconds": limits.cpuSeconds = UInt64(try whole(pair.value, "cpu_seconds", 1...2_592_000))
            case "open_files": limits.openFiles = UInt64(try whole(pair.value, "open_files", 8...1_000_000))
            default: throw wrong(pair.key, "limits has memory, cpu_seconds and open_files")
            }
        }
        return limits
    }

    private func bytes(_ node: YAMLNode) throws(Problem) -> UInt64 {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let text = node.text ?? ""
        let unit = text.last.flatMap { units[$0] }
        guard let number = UInt64(unit == nil ? text : String(text.dropLast())), number > 0,
            case let (bytes, isTooMuch) = number.multipliedReportingOverflow(by: unit ?? 1), !isTooMuch,
            bytes >= 1 << 20
        else { throw wrong(node, "memory must be a number of bytes, 1M at least, such as 512M or 2G") }
        return bytes
    }

    private func text(_ node: YAMLNode, _ key: String, _ length: ClosedRange<Int>) throws(Problem) -> String {
        guard let text = node.text, length.contains(text.unicodeScalars.count), !text.utf8.contains(0) else {
            throw wrong(node, "\(key) must be a text of \(length.lowerBound) to \(length.upperBound) characters")
        }
        return text
    }

    private func whole(_ node: YAMLNode, _ key: String, _ range: ClosedRange<Int>) throws(Problem) -> Int {
        guard let number = node.text.flatMap({ Int($0) }), range.contains(number) else {
            throw wrong(node, "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
