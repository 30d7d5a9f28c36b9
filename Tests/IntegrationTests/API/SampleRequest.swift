import FoundationEssentials
import HTTPTypes

@testable import ControlPlane

/// Requests for a route, made from its declaration alone, so that a new route is asked like the others.
struct SampleRequest: Sendable {
    let method: String
    let path: String
    let body: String?

    /// - Parameters:
    ///   - ids: Stand in the path's places that take a UUID, and wherever the body names one; each in a request of its
    ///     own.
    ///   - workspace: Stands where a workspace is named.
    static func all(for route: Route, ids: [UUID], workspace: UUID) -> [SampleRequest] {
        ids.flatMap { id -> [SampleRequest] in
            var path = route.path.description
            for parameter in route.parameters where parameter.place == .path {
                path = path.replacing(
                    "{\(parameter.name)}", with: sample(parameter.schema, id, workspace).text.unquoted)
            }
            let query = route.parameters.filter {
                $0.place == .query && ($0.isRequired || $0.name == "workspace_id" || $0.name == "job_id")
            }.map { "\($0.name)=\($0.name == "workspace_id" ? workspace.lower : id.lower)" }
            // With and without the parameters that narrow it down.
            var queries = [query]
            if !query.isEmpty, !route.parameters.contains(where: { $0.place == .query && $0.isRequired }) {
                queries.append([])
            }
            let bodies = route.body.map { samples($0, id, workspace).map { Optional($0.text) } } ?? [nil]
            return queries.flatMap { query in
                bodies.map { body in
                    SampleRequest(
                        method: route.method.rawValue,
                        path: path + (query.isEmpty ? "" : "?" + query.joined(separator: "&")), body: body)
                }
            }
        }
    }

    /// Values of a form; several where there is a choice at the top.
    static func samples(_ schema: Schema, _ id: UUID, _ workspace: UUID) -> [JSONNode] {
        switch schema.kind {
        case .byMember(_, let first, let second):
            return samples(first, id, workspace) + samples(second, id, workspace)
        case .object(let properties, _, _):
            guard let choice = properties.first(where: { if case .choice = $0.schema.kind { true } else { false } }),
                case .choice(let words) = choice.schema.kind
            else { return [sample(schema, id, workspace)] }
            return words.map { word in
                .object(
                    properties.map { property in
                        .init(
                            property.name,
                            property.name == choice.name
                                ? .string(word)
                                : property.name == "workspace_id"
                                    ? .string(workspace.lower) : sample(property.schema, id, workspace))
                    })
            }
        default: return [sample(schema, id, workspace)]
        }
    }

    static func sample(_ schema: Schema, _ id: UUID, _ workspace: UUID) -> JSONNode {
        switch schema.kind {
        case .text(let length, _): .string(String(repeating: "a", count: max(1, length.lowerBound)))
        case .pattern: .string("abcdefghijklmnop")
        case .uuid: .string(id.lower)
        case .moment: "2026-03-02T08:15:00Z"
        case .choice(let words): .string(words[0])
        case .whole(let range): .number(String(max(range.lowerBound, min(range.upperBound, 1))))
        case .number: 1
        case .boolean: true
        case .anything, .component: [:]
        case .object(let properties, _, _):
            .object(
                properties.map { property in
                    .init(
                        property.name,
                        property.name == "workspace_id"
                            ? .string(workspace.lower) : sample(property.schema, id, workspace))
                })
        case .map: [:]
        case .list(let schema, _): .array([sample(schema, id, workspace)])
        case .either(let schemas): sample(schemas[0], id, workspace)
        case .byMember(_, let first, _): sample(first, id, workspace)
        }
    }
}

extension UUID {
    var lower: String { uuidString.lowercased() }
}

extension String {
    fileprivate var unquoted: String { hasPrefix("\"") ? String(dropFirst().dropLast()) : self }
}
