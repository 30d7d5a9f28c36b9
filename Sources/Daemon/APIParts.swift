import API

/// What the API consists of: its connections, its live events and its routes.
struct APIParts: Sendable {
    let database: APIDatabase
    let hub: EventHub
    let surface: HTTPSurface
}
