#include "api/topics/node_filter.h"

static void add_node(body *b, const char *name, str *nodes, node_filter *out)
{
	str node = STR_NONE;
	body_text(b, name, &node);
	if (!b->failed && node.len > NODE_FILTER_BYTES_MAX) {
		body_refuse(b, name, "nodes of at most 128 bytes");
	} else if (!b->failed) {
		nodes[out->count++] = node;
	}
}

void node_filter_read(body *b, const char *name, node_filter *out)
{
	*out = (node_filter){NULL, 0};
	if (body_null(b) || b->failed) {
		return;
	}
	str *nodes = arena_alloc_array(b->arena, NODE_FILTER_MAX, sizeof *nodes);
	if (nodes == NULL) {
		b->failed = true;
		err_set(b->error, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		return;
	}
	out->nodes = nodes;
	if (jscan_peek(&b->scan) != JSCAN_ARRAY) {
		add_node(b, name, nodes, out);
		return;
	}
	for (body_array(b, name); body_next_element(b);) {
		if (out->count == NODE_FILTER_MAX) {
			body_refuse(b, name, "a node or at most 256 of them");
			return;
		}
		add_node(b, name, nodes, out);
	}
}

bool node_filter_drops(const node_filter *f, const log_topic *t, const log_record *r)
{
	if (f->count == 0 || r->node.ptr == NULL || !t->config.dedupe_node) {
		return false;
	}
	for (size_t i = 0; i < f->count; i++) {
		if (str_equal(f->nodes[i], r->node)) {
			return true;
		}
	}
	return false;
}
