extension Schema {
    /// As JSON Schema describes it, in the dialect of OpenAPI 3.1.
    var document: JSONNode {
        var members = self.members
        if isNullable {
            if case .string(let type)? = members.first(where: { $0.name == "type" })?.value {
                members = members.map { $0.name == "type" ? .init("type", [.string(type), "null"]) : $0 }
                // A list of values has to hold null as well.
                members = members.map { member in
                    guard member.name == "enum", let words = member.value.elements else { return member }
                    return .init("enum", .array(words + [.null]))
                }
            } else if !members.isEmpty {
                members = [.init("anyOf", [.object(members), ["type": "null"]])]
            }
        }
        if let note { members.append(.init("description", .string(note))) }
        return .object(members)
    }

    private var members: [JSONNode.Member] {
        switch kind {
        case .text(let length, let isOneLine):
            var members: [JSONNode.Member] = [
                .init("type", "string"), .init("minLength", .number("\(length.lowerBound)")),
                .init("maxLength", .number("\(length.upperBound)")),
            ]
            members.append(
                .init("pattern", isOneLine ? "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" : "^[^\\u0000]*$"))
            return members
        case .pattern(let pattern, _, _): return [.init("type", "string"), .init("pattern", .string(pattern))]
        case .uuid: return [.init("type", "string"), .init("format", "uuid")]
        case .moment: return [.init("type", "string"), .init("format", "date-time")]
        case .choice(let words): return [.init("type", "string"), .init("enum", .array(words.map { .string($0) }))]
        case .whole(let range):
            var members: [JSONNode.Member] = [.init("type", "integer")]
            if range.lowerBound != .min { members.append(.init("minimum", .number("\(range.lowerBound)"))) }
            if range.upperBound != .max { members.append(.init("maximum", .number("\(range.upperBound)"))) }
            return members
        case .number: return [.init("type", "number")]
        case .boolean: return [.init("type", "boolean")]
        case .anything: return []
        case .object(let properties, let isOpen, let mayBeEmpty):
            var members: [JSONNode.Member] = [
                .init("type", "object"),
                .init("properties", .object(properties.map { .init($0.name, $0.schema.document) })),
            ]
            let required = properties.filter(\.isRequired).map { JSONNode.string($0.name) }
            if !required.isEmpty { members.append(.init("required", .array(required))) }
            if !isOpen { members.append(.init("additionalProperties", false)) }
            if !mayBeEmpty { members.append(.init("minProperties", 1)) }
            return members
        case .map(let schema):
            return [.init("type", "object"), .init("additionalProperties", schema.document)]
        case .list(let schema, let count):
            var members: [JSONNode.Member] = [.init("type", "array"), .init("items", schema.document)]
            if count.lowerBound > 0 { members.append(.init("minItems", .number("\(count.lowerBound)"))) }
            if count.upperBound != .max { members.append(.init("maxItems", .number("\(count.upperBound)"))) }
            return members
        case .either(let schemas): return [.init("anyOf", .array(schemas.map(\.document)))]
        case .byMember(_, let first, let second): return [.init("anyOf", [first.document, second.document])]
        case .component(let name): return [.init("$ref", .string("#/components/schemas/\(name)"))]
        }
    }
}
