import JobWorker
import Postgres

/// A value on its way into a column.
enum ColumnValue: Sendable, Hashable {
    case text(String)
    case integer(Int64)
    /// `2021-11-09`
    case date(String)
    case json(JSONValue)

    /// Whether the column holds it already.
    /// - Parameter stored: The column as text, `nil` for NULL.
    func equals(_ stored: String?) -> Bool {
        guard let stored else { return false }
        return switch self {
        case .text(let text), .date(let text): text == stored
        case .integer(let number): Int64(stored) == number
        case .json(let value): (try? JSONText(stored).decode(JSONValue.self)) == value
        }
    }

    var fragment: Fragment {
        switch self {
        case .text(let text): return "\(text)"
        case .integer(let number): return "\(number)"
        case .date(let text): return "\(text)::date"
        case .json(let value):
            // A JSONValue holds nothing that JSON lacks but NaN and infinity, which can't come out of JSON.
            return "\(RawJSON((try? JSONText(encoding: value).text) ?? "{}"))"
        }
    }
}

/// A column that is to get a new value.
struct ColumnChange: Sendable, Hashable {
    let column: String
    let value: ColumnValue

    var assignment: Fragment {
        Fragment.joined([Fragment(stringLiteral: "\(column) = "), value.fragment], separator: "")
    }
}

/// The columns of one row as text; NULL and what was not asked for are absent.
struct StoredRow: Sendable, Hashable {
    let columns: [String: String]

    init(_ columns: [String: String]) {
        self.columns = columns
    }

    init(_ row: Row) {
        columns = Dictionary(
            row.texts.compactMap { column, text in text.map { (column, $0) } }, uniquingKeysWith: { first, _ in first })
    }

    subscript(column: String) -> String? { columns[column] }

    func isEmpty(_ column: String) -> Bool { columns[column]?.cleaned == nil }
}

/// Collects the changes of one row: what is absent or already there adds nothing.
struct ColumnChanges {
    private let stored: StoredRow
    private(set) var all: [ColumnChange] = []

    init(stored: StoredRow) {
        self.stored = stored
    }

    mutating func set(_ column: String, _ value: ColumnValue?) {
        guard let value, value != .text(""), !value.equals(stored[column]) else { return }
        all.append(ColumnChange(column: column, value: value))
    }

    /// A text, cut to the column's width.
    mutating func set(_ column: String, _ text: String?, width: Int = 2048) {
        set(column, text.map { .text($0.cut(width)) })
    }

    /// Sets it only where nothing is stored: the users' wording wins.
    mutating func fill(_ column: String, _ text: String?, width: Int) {
        if stored.isEmpty(column) { set(column, text, width: width) }
    }
}
