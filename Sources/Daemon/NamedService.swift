import ServiceLifecycle

/// A service that is described by the name of its type alone.
///
/// The group of services writes each one out as a text once. By reflection that is everything that a service holds, down
/// to the tables of the server's routes, which took half of the time until the worker was ready.
struct NamedService: Service, CustomStringConvertible {
    private let service: any Service

    init(_ service: any Service) { self.service = service }

    var description: String { "\(type(of: service))" }

    func run() async throws { try await service.run() }
}
