import Glibc

/// Collects values and mistakes from the sources.
struct SettingsReader {
    private(set) var values: [String: any Sendable] = [:]
    private(set) var origins: [String: Origin] = [:]
    private(set) var texts: [String: String] = [:]
    private(set) var mistakes: [SettingsReport.Mistake] = []
    private(set) var warnings: [String] = []

    private let sources: Sources
    /// The file's items by setting.
    private var items: [String: ConfigurationFile.Item] = [:]
    /// `nil` where there are none, or none can be read.
    private var credentialsDirectory: String?

    init(_ sources: Sources) {
        self.sources = sources
        openCredentials()
        readFile()
    }

    // MARK: One setting

    /// Reads the setting from the first source that has it.
    mutating func read(_ setting: AnySetting) {
        if let text = sources.flags[setting.name] {
            // Whoever types a flag means it, even with nothing behind it.
            return take(text, for: setting, from: .flag)
        }
        if let text = sources.environment[setting.name], isSet(text, for: setting) {
            return take(text, for: setting, from: .environment)
        }
        if let path = credentialsDirectory.map({ "\($0)/\(setting.key)" }) {
            do throws(FileText.Problem) {
                let text = try FileText(path: path).withoutLineEnd
                if isSet(text, for: setting) { return take(text, for: setting, from: .credential(path: path)) }
            } catch {
                // A missing one is not set.
                if case .unusable(let problem) = error {
                    return refuse(setting, from: .credential(path: path), because: "the credential \(problem)")
                }
            }
        }
        if let item = items[setting.name] {
            readItem(item, for: setting)
        }
    }

    private mutating func readItem(_ item: ConfigurationFile.Item, for setting: AnySetting) {
        let origin = Origin.file(path: sources.filePath, line: item.line)
        switch item.value {
        case .text(let text):
            if isSet(text, for: setting) { take(text, for: setting, from: origin) }
        case .list(let entries) where setting.isList && !entries.isEmpty:
            guard !entries.contains(where: { $0.contains(",") }) else {
                return refuse(setting, from: origin, because: "an entry of the list holds a comma")
            }
            take(entries.joined(separator: ","), for: setting, from: origin)
        case .list where setting.isList:
            refuse(setting, from: origin, because: "the list is empty")
        case .list:
            refuse(setting, from: origin, because: "a list stands where one value is wanted")
        case .other:
            refuse(setting, from: origin, because: "it is neither text nor a list of it")
        }
    }

    private func isSet(_ text: String, for setting: AnySetting) -> Bool {
        setting.refusesEmpty || !text.trimmingBlanks.isEmpty
    }

    private mutating func take(_ text: String, for setting: AnySetting, from origin: Origin) {
        do {
            values[setting.name] = try setting.parse(text)
            origins[setting.name] = origin
            if !setting.isSecret { texts[setting.name] = shownValue(text.trimmingBlanks) }
        } catch {
            refuse(setting, text: text, from: origin, because: error.reason)
        }
    }

    private mutating func refuse(
        _ setting: AnySetting, text: String? = nil, from origin: Origin, because problem: String?
    ) {
        let value = text.map { setting.isSecret && !$0.isEmpty ? Secret.mask : shownValue($0) }
        mistakes.append(
            .init(subject: setting.name, value: value, origin: origin, problem: problem, allowed: setting.allowed))
    }

    // MARK: Whole sources

    private mutating func openCredentials() {
        guard let directory = sources.credentialsDirectory else { return }
        if access(directory, R_OK | X_OK) == 0 {
            credentialsDirectory = directory
        } else if errno != ENOENT {
            let code = errno
            mistakes.append(
                .init(
                    subject: directory, value: nil, origin: nil,
                    problem: "the directory of credentials can't be read: \(reason(code))", allowed: nil))
        }
    }

    private mutating func readFile() {
        let path = sources.filePath
        do throws(FileText.Problem) {
            let file = try FileText(path: path)
            do throws(ConfigurationFile.Problem) {
                for item in try ConfigurationFile(parsing: file.text).items { add(item) }
            } catch {
                addFileMistake(error.text, line: error.line)
            }
            if file.isReadableByAll, items.values.contains(where: isSecret) {
                warnings.append("\(path) holds secrets and every user may read it: 'chmod o= \(path)' ends that")
            }
        } catch {
            switch error {
            case .missing where !sources.isFileNamed: break
            case .missing: addFileMistake("is not there", line: nil)
            case .unusable(let problem): addFileMistake(problem, line: nil)
            }
        }
    }

    private func isSecret(_ item: ConfigurationFile.Item) -> Bool {
        Catalog.setting(named: item.key)?.isSecret == true
    }

    private mutating func add(_ item: ConfigurationFile.Item) {
        if let setting = Catalog.setting(named: item.key), setting.key == item.key {
            items[setting.name] = item
        } else {
            let hint = Catalog.nearestName(to: item.key).map { ", did you mean '\($0.lowercased())'?" } ?? ""
            addFileMistake("has a key that is no setting: \(shownKey(item.key))\(hint)", line: item.line)
        }
    }

    private mutating func addFileMistake(_ problem: String, line: Int?) {
        let subject = line.map { "\(sources.filePath):\($0)" } ?? sources.filePath
        mistakes.append(.init(subject: subject, value: nil, origin: nil, problem: problem, allowed: nil))
    }

    /// Warns of variables that look like settings, but are none.
    mutating func findUnknownVariables() {
        for name in sources.environment.keys.sorted() where name.hasPrefix("WORKER_") {
            guard Catalog.setting(named: name)?.name != name else { continue }
            let hint = Catalog.nearestName(to: name).map { ", did you mean \($0)?" } ?? ""
            warnings.append("the environment has \(shownKey(name)), which is no setting\(hint)")
        }
    }

    // MARK: Settings that must fit together

    /// Finds mistakes between settings that are right by themselves.
    mutating func checkTogether() {
        checkOrder(
            Catalog.heartbeatInterval, times: 2, atMost: Catalog.staleAfter, else: "at least twice",
            "at most half of")
        checkOrder(
            Catalog.retryDelayBase, times: 1, atMost: Catalog.retryDelayMax, else: "at least", "at most")
        warnOfQueuesBeyondTheWorker()
    }

    /// Blames the greater one, unless only the lesser one was set.
    private mutating func checkOrder(
        _ lesser: Setting<Duration>, times factor: Int, atMost greater: Setting<Duration>,
        else greaterMustBe: String, _ lesserMustBe: String
    ) {
        // One that can't be read is reported already.
        guard !mistakes.contains(where: { $0.subject == lesser.name || $0.subject == greater.name }),
            value(of: lesser) * factor > value(of: greater)
        else { return }
        let blamesLesser = origins[greater.name] == nil
        let (blamed, other) = blamesLesser ? (lesser, greater) : (greater, lesser)
        let isDefault = origins[other.name] == nil
        mistakes.append(
            .init(
                subject: blamed.name, value: blamed.form.show(value(of: blamed)), origin: origins[blamed.name],
                problem: nil,
                allowed: """
                    \(blamesLesser ? lesserMustBe : greaterMustBe) \(other.name), which is \
                    \(other.form.show(value(of: other)))\(isDefault ? " by default" : "")
                    """))
    }

    private mutating func warnOfQueuesBeyondTheWorker() {
        let max = value(of: Catalog.maxConcurrent)
        for queue in value(of: Catalog.queues) {
            guard let own = queue.maxConcurrent, own > max else { continue }
            warnings.append(
                "WORKER_QUEUES lets \(own) jobs of '\(queue.name)' run at once, WORKER_MAX_CONCURRENT only \(max)")
        }
    }

    private func value<Value>(of setting: Setting<Value>) -> Value {
        (values[setting.name] as? Value) ?? setting.fallback
    }
}
