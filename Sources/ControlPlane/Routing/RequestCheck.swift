import HTTPTypes
import NIOCore

/// Holds a request to what its route declares, before anything is done for it.
struct RequestCheck {
    let route: Route

    /// - Throws: 400 for a parameter that is unknown or of another form.
    func checkParameters(_ values: [String: String], query: String, headers: HTTPFields) throws(APIError) {
        for parameter in route.parameters where parameter.place == .path {
            try check(values[parameter.name] ?? "", parameter)
        }
        for parameter in route.parameters where parameter.place == .header {
            guard let name = HTTPField.Name(parameter.name) else { continue }
            let values = headers[values: name]
            guard values.count < 2 else { throw .invalidParameter(parameter.name, "is there twice") }
            guard let value = values.first else { continue }
            // What stands for bytes that are no text: two such values can't be told apart.
            guard !value.unicodeScalars.contains("\u{FFFD}") else {
                throw .invalidParameter(parameter.name, "is not text in UTF-8")
            }
            try check(value, parameter)
        }
        // A probe may ask with a query that means nothing; what changes or lists something must not guess.
        guard route.access == .members || route.parameters.contains(where: { $0.place == .query }) else { return }
        var seen: Set<String> = []
        for (name, value) in try APIRequest.items(of: query) {
            guard let parameter = route.parameters.first(where: { $0.place == .query && $0.name == name }) else {
                throw APIError(.badRequest, code: "unknown_parameter", "There is no parameter \(name.shortened) here.")
            }
            guard seen.insert(name).inserted || parameter.isList else {
                throw .invalidParameter(name, "is there twice")
            }
            if parameter.isList {
                for part in value.split(separator: ",", omittingEmptySubsequences: false) {
                    try check(String(part), parameter)
                }
            } else {
                try check(value, parameter)
            }
        }
        if let missing = route.parameters.first(where: {
            $0.place == .query && $0.isRequired && !seen.contains($0.name)
        }) {
            throw .invalidParameter(missing.name, "is missing")
        }
    }

    private func check(_ value: String, _ parameter: Parameter) throws(APIError) {
        var mistakes: [String] = []
        let node: JSONNode
        switch parameter.schema.kind {
        case .whole, .number: node = value.isWholeNumber ? .number(value) : .string(value)
        case .boolean: node = value == "true" ? true : value == "false" ? false : .string(value)
        default: node = .string(value)
        }
        _ = parameter.schema.read(node, "", &mistakes)
        guard mistakes.isEmpty else { throw .invalidParameter(parameter.name, "must be \(parameter.schema.rule)") }
    }

    /// - Returns: The body with the names that the schema declares; `nil` where the route declares none.
    /// - Throws: 415, 400 for what is no JSON, 422 for JSON of another form.
    func document(_ body: ByteBuffer, headers: HTTPFields) throws(APIError) -> JSONNode? {
        guard let schema = route.body, route.isBodyRequired || body.readableBytes > 0 else { return nil }
        guard Self.isJSON(headers[.contentType]) else { throw .unsupportedMediaType }
        let node: JSONNode
        do throws(JSONFault) {
            node = try JSONReader.read(Array(buffer: body))
        } catch {
            switch error {
            case .unreadable(let offset):
                throw APIError(.badRequest, code: "invalid_json", "The body is not JSON: look at byte \(offset).")
            case .unstorable(let sentence):
                throw APIError(.unprocessableContent, code: "invalid_body", "The body \(sentence).")
            }
        }
        var mistakes: [String] = []
        let document = schema.read(node, "", &mistakes)
        guard mistakes.isEmpty else {
            let shown = mistakes.prefix(10).map(\.asSentence).joined(separator: " ")
            throw APIError(.unprocessableContent, code: "invalid_body", shown)
        }
        return document
    }

    /// A body without a type is taken for JSON.
    private static func isJSON(_ contentType: String?) -> Bool {
        guard let contentType else { return true }
        let parts = contentType.lowercased().split(separator: ";").map { $0.trimming }
        return parts.first == "application/json"
            && parts.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || $0.contains("utf-8") }
    }
}

extension String {
    fileprivate var isWholeNumber: Bool {
        let digits = hasPrefix("-") ? dropFirst() : self[...]
        return !digits.isEmpty && digits.utf8.count < 20 && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    fileprivate var asSentence: String { prefix(1).uppercased() + dropFirst() + "." }
}

extension Substring {
    fileprivate var trimming: Substring {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
