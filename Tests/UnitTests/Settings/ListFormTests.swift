import Testing

@testable import Settings

struct QueueSelectionTests {
    @Test func `queues are names, each with a limit or without`() throws {
        #expect(
            try Catalog.queues.parse("default, high_priority:3,*") == [
                QueueSelection(name: "default"), QueueSelection(name: "high_priority", maxConcurrent: 3),
                QueueSelection(name: "*"),
            ])
        #expect(try Catalog.queues.parse("*:2").first?.isEvery == true)
        #expect(try Catalog.queues.parse("a:10000") == [QueueSelection(name: "a", maxConcurrent: 10_000)])
        #expect(try Catalog.queues.parse(String(repeating: "q", count: 50)).count == 1)
    }

    @Test func `queues are shown as they are written`() throws {
        #expect(Catalog.queues.form.show(try Catalog.queues.parse(" a : 2 , b")) == "a:2,b")
    }

    @Test(arguments: [
        ("", "it is empty"), ("a,,b", "entry 2 is empty"), ("a,", "entry 2 is empty"),
        ("a,b,a:2", "the queue 'a' is there twice"), ("a:0", "'0' is no limit for the queue 'a'"),
        ("a:10001", "'10001' is no limit for the queue 'a'"), ("a:", "'' is no limit for the queue 'a'"),
        ("a:1:2", "'a:1:2' has more than one ':'"),
        ("a*", "'a*' is no name of a queue (1 to 50 characters without blanks)"),
        ("a b", "'a b' is no name of a queue (1 to 50 characters without blanks)"),
        (":3", "'' is no name of a queue (1 to 50 characters without blanks)"),
    ])
    func `a queue that can't be is named`(text: String, reason: String) {
        #expect(throws: BadValue(reason)) { try Catalog.queues.parse(text) }
    }

    @Test func `the name of a queue fits its column`() {
        #expect(throws: BadValue.self) { try Catalog.queues.parse(String(repeating: "q", count: 51)) }
    }
}

struct RetentionDaysTests {
    @Test func `a status that is not named is kept`() throws {
        #expect(try Catalog.retention.parse("completed:30") == RetentionDays(completed: 30))
        #expect(
            try Catalog.retention.parse("dead_letter:36500, failed:2,cancelled:0")
                == RetentionDays(failed: 2, deadLetter: 36_500))
    }

    @Test func `days are listed by the status of the table`() {
        let days = RetentionDays(completed: 1, cancelled: 2, failed: 3, deadLetter: 4)
        #expect(days.byStatus.map(\.status) == ["completed", "cancelled", "failed", "dead_letter"])
        #expect(days.byStatus.map(\.days) == [1, 2, 3, 4])
        #expect("\(days)" == "completed:1,cancelled:2,failed:3,dead_letter:4")
    }

    @Test(arguments: [
        ("30", "'30' is not status:days"), ("completed:1:2", "'completed:1:2' is not status:days"),
        ("complete:1", "'complete' is no status of a finished job, did you mean completed?"),
        ("pending:1", "'pending' is no status of a finished job"),
        ("failed:1,failed:2", "'failed' is there twice"), ("failed:36501", "'36501' is no number of days"),
        ("failed:-1", "'-1' is no number of days"), ("failed:", "'' is no number of days"),
        ("failed:1,", "entry 2 is empty"),
    ])
    func `a retention that can't be is named`(text: String, reason: String) {
        #expect(throws: BadValue(reason)) { try Catalog.retention.parse(text) }
    }
}

struct EncryptionKeysTests {
    /// The base64 of 32 zero bytes, and of 32 bytes of 1.
    private static let zeros = String(repeating: "A", count: 43) + "="
    private static let ones = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

    @Test func `keys keep their order, their ids and their 32 bytes`() throws {
        let text = "new-1:\(Self.ones), old.2_x:\(Self.zeros)"
        let keys = try #require(try Catalog.encryptionKeys.parse(text))
        #expect(keys.keys.map(\.id) == ["new-1", "old.2_x"])
        #expect(keys.keys[0].bytes.withBytes { Array($0) } == [UInt8](repeating: 1, count: 32))
        #expect(keys.keys[1].bytes.withBytes { Array($0) } == [UInt8](repeating: 0, count: 32))
        #expect(keys.text.withText { $0 == text })
    }

    @Test(arguments: [
        ("\(zeros)", "entry 1 is not id:base64"),
        ("a:\(zeros),a:\(ones)", "entries 1 and 2 have the same id"),
        ("a:\(zeros),b:not/base64!", "what follows the id of entry 2 is no base64"),
        ("a:AAAA", "the key of entry 1 has 3 bytes instead of 32"),
        ("a:", "the key of entry 1 has 0 bytes instead of 32"),
        ("a:\(zeros),", "entry 2 is empty"),
        (":\(zeros)", "the id of entry 1 has other characters, or not 1 to 32 of them"),
        ("a b:\(zeros)", "the id of entry 1 has other characters, or not 1 to 32 of them"),
        ("ä:\(zeros)", "the id of entry 1 has other characters, or not 1 to 32 of them"),
        (
            String(repeating: "i", count: 33) + ":\(zeros)",
            "the id of entry 1 has other characters, or not 1 to 32 of them"
        ),
    ])
    func `a key that can't be used is told by its place, not by its text`(text: String, reason: String) {
        #expect(throws: BadValue(reason)) { try Catalog.encryptionKeys.parse(text) }
    }
}

struct OperatorTokenTests {
    @Test func `tokens may have the names of their owners`() throws {
        let tokens = try Catalog.secretToken.parse("plain, alice:abc==,bob.2:x:y")
        #expect(tokens.map(\.name) == [nil, "alice", "bob.2"])
        #expect(tokens.map { $0.token.withText(\.self) } == ["plain", "abc==", "x:y"])
    }

    @Test func `one person may have two tokens while they are changed`() throws {
        #expect(try Catalog.secretToken.parse("alice:one,alice:two").count == 2)
    }

    @Test(arguments: [(31, true), (32, false)])
    func `a token of fewer than 32 characters is short`(length: Int, isShort: Bool) throws {
        let tokens = try Catalog.secretToken.parse("a:" + String(repeating: "t", count: length))
        #expect(tokens.map(\.isShort) == [isShort])
    }

    @Test(arguments: [
        ("", "it is empty"), (" ", "it is empty"), ("a,,b", "entry 2 is empty"),
        ("a:", "the token of entry 1 is empty, too long or has other characters"),
        ("a:b c", "the token of entry 1 is empty, too long or has other characters"),
        ("a,tökèn", "the token of entry 2 is empty, too long or has other characters"),
        (String(repeating: "t", count: 513), "the token of entry 1 is empty, too long or has other characters"),
        (":x", "the name of entry 1 has other characters, or not 1 to 64 of them"),
        ("a b:x", "the name of entry 1 has other characters, or not 1 to 64 of them"),
        ("a:same,b:other,same", "entries 1 and 3 are the same token"),
    ])
    func `a token that can't be used is told by its place, not by its text`(text: String, reason: String) {
        #expect(throws: BadValue(reason)) { try Catalog.secretToken.parse(text) }
    }
}
