import Testing

@testable import ControlPlane

@Suite struct SchemaTests {
    private let schema = Schema(
        .object(
            [
                .init("job_type", Schema(.text(1...5, isOneLine: true)), isRequired: true),
                .init("workspace_id", Schema(.uuid)), .init("scheduled_for", Schema(.moment).orNull),
                .init("priority", Schema(.either([Schema(.whole(-10...10)), Schema(.choice(["high"]))]))),
                .init("names", Schema(.list(Schema(.text(0...3, isOneLine: false)), 1...2))),
                .init("payload", Schema(.anything)), .init("is_on", Schema(.boolean)),
            ], isOpen: false))

    private func mistakes(_ text: String) throws -> [String] {
        var mistakes: [String] = []
        _ = schema.read(try JSONReader.read(Array(text.utf8)), "", &mistakes)
        return mistakes
    }

    @Test(arguments: [
        #"{"job_type":"noop"}"#, #"{"job_type":"éé😀éé","payload":[1,{"x":null}]}"#,
        #"{"job_type":"a","priority":-10}"#, #"{"job_type":"a","priority":1e1}"#,
        #"{"job_type":"a","priority":"high"}"#,
        #"{"job_type":"a","scheduled_for":null}"#, #"{"job_type":"a","scheduled_for":"2026-03-02T08:15:00+01:00"}"#,
        #"{"job_type":"a","names":["x","a\nb"],"is_on":false}"#,
        #"{"job_type":"a","workspace_id":"A0000000-0000-4000-8000-000000000001"}"#,
    ])
    func `what has the declared form is taken`(text: String) throws { #expect(try mistakes(text) == []) }

    @Test(arguments: [
        ("[]", "the body must be an object"), ("{}", "job_type is missing"),
        (#"{"job_type":null}"#, "job_type must be text of 1 to 5 characters without control characters"),
        (#"{"job_type":""}"#, "job_type must be text of 1 to 5 characters without control characters"),
        (#"{"job_type":"abcdef"}"#, "job_type must be text of 1 to 5 characters without control characters"),
        (#"{"job_type":"a\nb"}"#, "job_type must be text of 1 to 5 characters without control characters"),
        (#"{"job_type":"a\u0085"}"#, "job_type must be text of 1 to 5 characters without control characters"),
        (#"{"job_type":"a","extra":1}"#, "extra is not known here"),
        (#"{"job_type":"a","jobType":"b"}"#, "job_type is there twice"),
        (#"{"job_type":"a","priority":11}"#, "priority must be a whole number from -10 to 10, or one of high"),
        (#"{"job_type":"a","priority":1.5}"#, "priority must be a whole number from -10 to 10, or one of high"),
        (#"{"job_type":"a","workspace_id":"x"}"#, "workspace_id must be a UUID"),
        (
            #"{"job_type":"a","scheduled_for":"tomorrow"}"#,
            "scheduled_for must be a time with its zone, as 2026-03-02T08:15:00Z, or null"
        ),
        (
            #"{"job_type":"a","scheduled_for":"infinity"}"#,
            "scheduled_for must be a time with its zone, as 2026-03-02T08:15:00Z, or null"
        ),
        (#"{"job_type":"a","names":[]}"#, "names must be a list of 1 to 2"),
        (#"{"job_type":"a","names":["a","abcd"]}"#, "names[1] must be text of 0 to 3 characters"),
        (#"{"job_type":"a","is_on":"yes"}"#, "is_on must be true or false"),
    ])
    func `what has another form is told with its place and rule`(text: String, mistake: String) throws {
        #expect(try mistakes(text) == [mistake])
    }

    @Test func `a name in the application's older spelling is read as the declared one`() throws {
        var mistakes: [String] = []
        let node = try JSONReader.read(Array(#"{"jobType":"a","scheduledFor":null}"#.utf8))
        #expect(schema.read(node, "", &mistakes).text == #"{"job_type":"a","scheduled_for":null}"#)
        #expect(mistakes == [])
    }

    @Test func `the description says the same as the check`() {
        #expect(
            schema.document.text
                == #"{"type":"object","properties":{"job_type":{"type":"string","minLength":1,"maxLength":5,"pattern":"^[^\\u0000-\\u001f\\u007f-\\u009f]*$"},"workspace_id":{"type":"string","format":"uuid"},"scheduled_for":{"type":["string","null"],"format":"date-time"},"priority":{"anyOf":[{"type":"integer","minimum":-10,"maximum":10},{"type":"string","enum":["high"]}]},"names":{"type":"array","items":{"type":"string","minLength":0,"maxLength":3,"pattern":"^[^\\u0000]*$"},"minItems":1,"maxItems":2},"payload":{},"is_on":{"type":"boolean"}},"required":["job_type"],"additionalProperties":false}"#
        )
    }
}
