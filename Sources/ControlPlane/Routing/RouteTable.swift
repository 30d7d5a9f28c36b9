import HTTPTypes

/// All routes. `HEAD` is answered wherever `GET` is.
package struct RouteTable: Sendable {
    enum Match {
        case route(Route, parameters: [String: String])
        /// The path is known; these are its methods.
        case otherMethods([HTTPRequest.Method])
        case unknownPath
    }

    private struct Resource {
        let path: PathTemplate
        var routes: [HTTPRequest.Method: Route] = [:]

        var methods: [HTTPRequest.Method] {
            (routes.keys + (routes[.get] == nil ? [] : [.head])).sorted { $0.rawValue < $1.rawValue }
        }
    }

    /// In the order of declaration.
    package let routes: [Route]
    /// The more specific first.
    private let resources: [Resource]

    /// - Precondition: No two routes have the same method and path.
    package init(_ routes: [Route]) {
        self.routes = routes
        var resources: [Resource] = []
        for route in routes {
            let index = resources.firstIndex { $0.path == route.path } ?? resources.endIndex
            if index == resources.endIndex { resources.append(Resource(path: route.path)) }
            precondition(resources[index].routes[route.method] == nil, "two routes for \(route.method) \(route.path)")
            resources[index].routes[route.method] = route
        }
        self.resources = resources.sorted { $0.path.isMoreSpecific(than: $1.path) }
    }

    /// - Parameter path: Without the query.
    func match(_ method: HTTPRequest.Method, _ path: String) -> Match {
        for resource in resources {
            guard let values = resource.path.values(in: path) else { continue }
            if let route = resource.routes[method] ?? (method == .head ? resource.routes[.get] : nil) {
                return .route(route, parameters: values)
            }
            return .otherMethods(resource.methods)
        }
        return .unknownPath
    }
}
