import FoundationEssentials
import HTTPTypes
import Testing

@testable import ControlPlane
@testable import Tokens

/// Who is let in where operators and members may both ask.
@Suite struct MemberAccessTests {
    private func authentication(operators: Bool = true, members: Bool = true) -> Authentication {
        Authentication(
            operators: operators ? ControlPlaneUnderTest.operators([("alice", "operator-token")]) : [],
            members: members ? TokenVerifier(keys: [TokenForge.secretKey]) : nil)
    }

    private func ask(_ authentication: Authentication, _ token: String?, _ access: Access) -> Result<Caller, APIError> {
        let headers: HTTPFields = token.map { [.authorization: "Bearer \($0)"] } ?? [:]
        do throws(APIError) {
            return .success(try authentication.caller(of: headers, for: access))
        } catch { return .failure(error) }
    }

    /// In force whenever the tests run.
    private func token(role: String = "authenticated", expiry: Int = 9_000_000_000) -> String {
        TokenForge.hs256(#"{"sub":"\#(TokenForge.user)","role":"\#(role)","exp":\#(expiry)}"#)
    }

    @Test func `operators and members are told apart`() throws {
        #expect(ask(authentication(), "operator-token", .members) == .success(.operator(name: "alice")))
        guard case .success(.member(let member)) = ask(authentication(), token(), .members) else {
            Issue.record("a member was not let in")
            return
        }
        #expect(member.userID.uuidString.lowercased() == TokenForge.user)
    }

    @Test func `a member is not let in where operators are meant`() {
        for access in [Access.operators, .anyoneOnSocket] {
            #expect(ask(authentication(), token(), access) == .failure(.operatorsOnly))
        }
    }

    @Test func `a genuine token of another role gets 403, any other 401`() {
        for role in ["anon", "service_role"] {
            #expect(ask(authentication(), token(role: role), .members) == .failure(.otherRole))
        }
        for wrong in [nil, "", "x", "a.b.c", token(expiry: 1), token() + "x"] {
            #expect(ask(authentication(), wrong, .members) == .failure(.unauthorized))
        }
    }

    @Test func `members are let in without any operator's token, and operators without any key for members`() {
        let membersOnly = authentication(operators: false)
        #expect((try? ask(membersOnly, token(), .members).get()) != nil)
        #expect(ask(membersOnly, token(), .operators) == .failure(.tokenNotConfigured))
        #expect(ask(membersOnly, nil, .members) == .failure(.unauthorized))
        let operatorsOnly = authentication(members: false)
        #expect(ask(operatorsOnly, token(), .members) == .failure(.unauthorized))
        let nobody = authentication(operators: false, members: false)
        #expect(ask(nobody, token(), .members) == .failure(.tokenNotConfigured))
    }

    @Test func `a reload replaces the members' keys`() {
        let authentication = authentication()
        authentication.replaceMembers(with: TokenVerifier(keys: []))
        #expect(ask(authentication, token(), .members) == .failure(.unauthorized))
    }
}
