import Settings
import YAML

/// A file of the folder `WORKER_HANDLERS`: one job type, or a list of them.
package struct HandlerFile {
    /// Why nothing of the file is taken.
    package struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
        package let file: String
        package let line: Int?
        package let text: String

        package var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(text)" }
    }

    package let handlers: [HandlerDefinition]

    package init(path: String) throws(Problem) {
        let text: String
        do throws(FileText.Problem) { text = try FileText(path: path).text } catch {
            switch error {
            case .missing: throw Problem(file: path, line: nil, text: "is not there")
            case .unusable(let why): throw Problem(file: path, line: nil, text: why)
            }
        }
        try self.init(parsing: text, path: path)
    }

    package init(parsing yaml: String, path: String) throws(Problem) {
        let root: YAMLNode?
        do throws(YAMLError) { root = try YAMLNode.parse(yaml) } catch {
            let key = error.duplicateKey.map { ": '\($0.prefix(40))'" } ?? ""
            throw Problem(file: path, line: error.line, text: "\(error.problem)\(key)")
        }
        var handlers: [HandlerDefinition] = []
        switch root?.content {
        case nil, .nothing: break
        case .mapping(let pairs): handlers = [try Self.handler(pairs, line: root?.line ?? 1, path: path)]
        case .sequence(let nodes):
            for node in nodes {
                guard case .mapping(let pairs) = node.content else {
                    throw Problem(file: path, line: node.line, text: "each handler must be a mapping with job_type")
                }
                handlers.append(try Self.handler(pairs, line: node.line, path: path))
            }
        case .scalar:
            throw Problem(file: path, line: root?.line, text: "must be a handler or a list of handlers")
        }
        self.handlers = handlers
    }

    private static func handler(
        _ pairs: [YAMLNode.Pair], line: Int, path: String
    ) throws(Problem) -> HandlerDefinition {
        var reader = HandlerReader(path: path)
        for pair in pairs { try reader.take(pair) }
        return try reader.handler(line: line)
    }
}
