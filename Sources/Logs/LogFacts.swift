import Logging

/// The key of an event's metadata that names its kind for good: the journal's field `MESSAGE_ID`, and a member of its
/// own of a JSON line.
public let messageIDKey = "message_id"

/// An event's metadata but for its message id, as flat texts, sorted by key. What is said nearer to the event wins.
///
/// Dictionaries are flattened: `http.status`; lists are written as `[a, b]`.
func facts(
    of event: LogEvent, handler: Logger.Metadata, provider: Logger.MetadataProvider?
) -> [(key: String, value: String)] {
    var merged = handler
    if let provided = provider?.get() { merged.merge(provided) { _, new in new } }
    if let own = event.metadata {
        // Most have nothing of their own but their id.
        for (key, value) in own where key != messageIDKey { merged[key] = value }
    }
    merged[messageIDKey] = nil
    var flat: [(key: String, value: String)] = []
    flat.reserveCapacity(merged.count)
    append(merged, prefix: "", to: &flat)
    return flat
}

private func append(_ metadata: Logger.Metadata, prefix: String, to flat: inout [(key: String, value: String)]) {
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
        switch value {
        case .dictionary(let inner): append(inner, prefix: "\(prefix)\(key).", to: &flat)
        case .array(let items):
            flat.append((prefix + key, "[\(items.map(\.description).joined(separator: ", "))]"))
        case .string, .stringConvertible: flat.append((prefix + key, value.description))
        @unknown default: flat.append((prefix + key, value.description))
        }
    }
}
