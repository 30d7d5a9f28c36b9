import Testing

@testable import Settings

struct NetworkAddressTests {
    @Test(arguments: [
        ("127.0.0.1:8080", HostPort(host: "127.0.0.1", port: 8080)),
        ("localhost:0", HostPort(host: "localhost", port: 0)),
        ("[::1]:65535", HostPort(host: "::1", port: 65_535)),
        ("[fe80::1%eth0]:1", HostPort(host: "fe80::1%eth0", port: 1)),
    ])
    func `an address to listen on is a host and a port`(text: String, address: HostPort) throws {
        #expect(try Catalog.httpListen.parse(text) == address)
        #expect("\(address)" == text)
    }

    @Test(arguments: [
        ("localhost", "the port is missing"), (":8080", "the host is missing"),
        ("a:65536", "the port must be a whole number from 0 to 65535"),
        ("a:", "the port must be a whole number from 0 to 65535"),
        ("a:http", "the port must be a whole number from 0 to 65535"),
        ("::1:8080", "the host can't be right; an IPv6 address needs brackets"),
        ("[a]:1", "the host can't be right; an IPv6 address needs brackets"),
        ("[::1:1", "the host can't be right; an IPv6 address needs brackets"),
        ("http://a:1", "the host can't be right; an IPv6 address needs brackets"),
        ("*:80", "the host can't be right; an IPv6 address needs brackets"),
    ])
    func `an address that can't be says what it lacks`(text: String, reason: String) {
        #expect(throws: BadValue(reason)) { try Catalog.httpListen.parse(text) }
    }

    @Test(arguments: [
        ("127.0.0.1:8125", StatsdAddress.udp(HostPort(host: "127.0.0.1", port: 8125))),
        ("/run/datadog/dsd.socket", .socket(path: "/run/datadog/dsd.socket")),
        ("unix:///run/dsd.socket", .socket(path: "/run/dsd.socket")),
    ])
    func `figures go to a port or to a socket`(text: String, address: StatsdAddress) throws {
        #expect(try Catalog.statsd.parse(text) == address)
    }

    @Test(arguments: ["localhost:0", "dsd.socket", "unix://", "/" + String(repeating: "s", count: 107)])
    func `figures go nowhere else`(text: String) {
        #expect(throws: BadValue.self) { try Catalog.statsd.parse(text) }
    }
}
