import JobWorker
import Testing

@testable import Doctor

struct WebhookCheckTests {
    private func survey(_ change: (inout WebhookSurvey) -> Void) -> WebhookSurvey {
        var survey = WebhookSurvey()
        survey.endpoints = 3
        change(&survey)
        return survey
    }

    @Test func `without endpoints there is nothing to say`() {
        #expect(WebhookCheck.findings(WebhookSurvey()) == [])
    }

    @Test func `endpoints that hear are well`() {
        #expect(WebhookCheck.findings(survey { _ in }) == [.ok("webhooks", "3 endpoints, all of them heard")])
    }

    @Test func `disabled and failing ones are told, and deliveries that wait too long`() {
        let findings = WebhookCheck.findings(
            survey {
                $0.disabled = 1
                $0.failing = 2
                $0.waiting = 7
                $0.longestWait = .seconds(1200)
            })
        #expect(findings.map(\.state) == [.warn, .warn, .warn])
        #expect(findings[0].message.hasPrefix("1 endpoint disabled"))
        #expect(findings[1].message.hasPrefix("2 endpoints failed"))
        #expect(findings[2].message == "7 deliveries due, the oldest for 20 min")
        #expect(WebhookCheck.findings(survey { $0.longestWait = .seconds(30) }).map(\.state) == [.ok])
    }
}
