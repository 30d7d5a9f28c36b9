import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres
import Support
import Testing
import Webhooks

/// From a job's change to a receiver, with real servers.
@Suite(.database(), .timeLimit(.minutes(5))) struct DeliveryTests {
    let database = TestDatabase.current

    @Test func `the end of a job is told to its workspace's endpoint at once, signed as the specification says`()
        async throws
    {
        let scene = try WebhookScene(database)
        let mailbox = Mailbox()
        try await withScriptedServer(reply: { letter in
            mailbox.put(letter)
            return .answer("thanks")
        }) { server in
            try await scene.endpoint(server.url("/hook?a=b"))
            let job = try await scene.withSender(ScriptedProcessor("noop")) { _ in
                let job = try await database.insertJob(payload: #"{"a": 1, "api_key": "canary"}"#)
                try await scene.until("status = 'delivered'", atMost: .seconds(20))
                return job
            }
            let letter = try #require(mailbox.all.first)
            #expect(mailbox.all.count == 1)
            #expect(letter.method == "POST")
            #expect(letter.path == "/hook?a=b")
            #expect(letter.header("content-type") == "application/json")
            let id = try #require(letter.header("webhook-id"))
            #expect(try await scene.deliveries("id = '\(id)' AND attempts = 1 AND response_status = 200") == 1)
            let body = String(decoding: letter.body, as: UTF8.self)
            #expect(body.hasPrefix(#"{"type":"job.completed","timestamp":"20"#))
            #expect(body.contains(#""id": "\#(job.text)""#))
            #expect(!body.contains("canary"))
            // By another hand: Python's.
            let timestamp = try #require(letter.header("webhook-timestamp"))
            let signature = try #require(letter.header("webhook-signature"))
            let expected = try await python(
                """
                import base64, hashlib, hmac, sys
                key = base64.b64decode(sys.argv[1].removeprefix("whsec_"))
                message = f"{sys.argv[2]}.{sys.argv[3]}.{sys.argv[4]}".encode()
                print("v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode())
                """, scene.secret.reveal(), id, timestamp, body)
            #expect(signature == expected)
        }
    }
}
