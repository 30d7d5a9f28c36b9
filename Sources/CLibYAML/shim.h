// libyaml, and access to the parts of its nodes that are C unions.
#pragma once
#include <yaml.h>

static inline const char *shim_scalar_text(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }
static inline size_t shim_scalar_length(const yaml_node_t *node) { return node->data.scalar.length; }

// Plain means without quotes.
static inline int shim_scalar_is_plain(const yaml_node_t *node) {
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE || node->data.scalar.style == YAML_ANY_SCALAR_STYLE;
}

static inline size_t shim_sequence_count(const yaml_node_t *node) {
    return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

static inline int shim_sequence_item(const yaml_node_t *node, size_t index) {
    return node->data.sequence.items.start[index];
}

static inline size_t shim_mapping_count(const yaml_node_t *node) {
    return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

static inline int shim_mapping_key(const yaml_node_t *node, size_t index) {
    return node->data.mapping.pairs.start[index].key;
}

static inline int shim_mapping_value(const yaml_node_t *node, size_t index) {
    return node->data.mapping.pairs.start[index].value;
}
