package import ControlPlane

/// All routes that need the database.
package struct HTTPSurface: Sendable {
    package let routes: [Route]

    package init(database: APIDatabase) {
        routes = JobRoutes(database: database).routes + JobCreation(database: database).routes
    }

    /// What their descriptions refer to.
    package static let components: [(name: String, schema: Schema)] = [("Job", JobDocument.schema)]
}
