import CLibYAML

extension YAMLNode {
    /// Reads a text that holds one document.
    ///
    /// - Returns: `nil` for an empty one.
    /// - Throws: `YAMLError` for broken syntax, a second document, a key that stands twice, or a document that
    ///   unfolds to more than `nodesMax` values.
    package static func parse(_ yaml: String, nodesMax: Int = 20_000) throws(YAMLError) -> YAMLNode? {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else { throw YAMLError(line: nil, problem: "out of memory") }
        defer { yaml_parser_delete(&parser) }
        // libyaml reads from the memory it is given until the parser is deleted.
        let bytes = Array(yaml.utf8)
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
        defer { buffer.deallocate() }
        _ = buffer.update(fromContentsOf: bytes)
        yaml_parser_set_input_string(&parser, buffer.baseAddress, bytes.count)

        var first = yaml_document_t()
        guard yaml_parser_load(&parser, &first) == 1 else { throw YAMLError(parser) }
        defer { yaml_document_delete(&first) }
        guard let root = yaml_document_get_root_node(&first) else { return nil }
        var reader = DocumentReader(nodesLeft: nodesMax)
        let node = try reader.node(root, of: &first, depth: 0)

        var second = yaml_document_t()
        guard yaml_parser_load(&parser, &second) == 1 else { throw YAMLError(parser) }
        defer { yaml_document_delete(&second) }
        if let other = yaml_document_get_root_node(&second) {
            throw YAMLError(line: other.pointee.start_mark.line + 1, problem: "holds a second document")
        }
        return node
    }
}

/// Copies libyaml's nodes into values. Aliases point to the same node more than once, in circles even: hence the limits.
private struct DocumentReader {
    private static let depthMax = 64
    var nodesLeft: Int

    mutating func node(
        _ node: UnsafeMutablePointer<yaml_node_t>, of document: inout yaml_document_t, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        let line = Int(node.pointee.start_mark.line) + 1
        nodesLeft -= 1
        guard nodesLeft >= 0 else { throw YAMLError(line: line, problem: "unfolds to too many values") }
        guard depth < DocumentReader.depthMax else { throw YAMLError(line: line, problem: "is nested too deeply") }
        switch node.pointee.type {
        case YAML_SCALAR_NODE:
            return YAMLNode(content: scalar(node), isPlain: shim_scalar_is_plain(node) == 1, line: line)
        case YAML_SEQUENCE_NODE:
            var items: [YAMLNode] = []
            for index in 0..<shim_sequence_count(node) {
                items.append(try child(shim_sequence_item(node, index), of: &document, depth: depth, line: line))
            }
            return YAMLNode(content: .sequence(items), line: line)
        default:
            return YAMLNode(content: .mapping(try pairs(node, of: &document, depth: depth, line: line)), line: line)
        }
    }

    private mutating func pairs(
        _ node: UnsafeMutablePointer<yaml_node_t>, of document: inout yaml_document_t, depth: Int, line: Int
    ) throws(YAMLError) -> [YAMLNode.Pair] {
        var pairs: [YAMLNode.Pair] = []
        var keys: Set<YAMLNode.Content> = []
        for index in 0..<shim_mapping_count(node) {
            let key = try child(shim_mapping_key(node, index), of: &document, depth: depth, line: line)
            guard keys.insert(key.content).inserted else {
                throw YAMLError(line: key.line, problem: "has a key twice", duplicateKey: key.text ?? "")
            }
            let value = try child(shim_mapping_value(node, index), of: &document, depth: depth, line: line)
            pairs.append(YAMLNode.Pair(key: key, value: value))
        }
        return pairs
    }

    private mutating func child(
        _ number: Int32, of document: inout yaml_document_t, depth: Int, line: Int
    ) throws(YAMLError) -> YAMLNode {
        guard let node = yaml_document_get_node(&document, number) else {
            throw YAMLError(line: line, problem: "refers to nothing")
        }
        return try self.node(node, of: &document, depth: depth + 1)
    }

    private func scalar(_ node: UnsafeMutablePointer<yaml_node_t>) -> YAMLNode.Content {
        let bytes = UnsafeRawBufferPointer(start: shim_scalar_text(node), count: shim_scalar_length(node))
        let text = String(decoding: bytes, as: UTF8.self)
        let isNothing = shim_scalar_is_plain(node) == 1 && ["", "~", "null", "Null", "NULL"].contains(text)
        return isNothing ? .nothing : .scalar(text)
    }
}

extension YAMLError {
    fileprivate init(_ parser: yaml_parser_t) {
        let problem = parser.problem.map { String(cString: $0) } ?? "out of memory"
        switch parser.error {
        case YAML_SCANNER_ERROR, YAML_PARSER_ERROR, YAML_COMPOSER_ERROR:
            self.init(line: Int(parser.problem_mark.line) + 1, problem: problem)
        default: self.init(line: nil, problem: problem)
        }
    }
}
