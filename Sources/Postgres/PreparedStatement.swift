/// A statement as the server keeps it.
///
/// The name is made from text and types: behind a pooler clients share the server's sessions, and a name that
/// meant another statement there would run that one.
struct PreparedStatement: Equatable {
    let name: String
    let types: [UInt32]

    init(_ statement: Statement) {
        types = statement.parameters.map(\.type)
        // FNV-1a; http://www.isthe.com/chongo/tech/comp/fnv/
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in statement.sql.utf8 { add(byte) }
        for type in types { withUnsafeBytes(of: type) { $0.forEach(add) } }
        name = "jobworker_\(String(hash, radix: 16))"
    }
}
