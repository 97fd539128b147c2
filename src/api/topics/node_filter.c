#include "api/topics/node_filter.h"

static void add(body *b, uint64_t name_bytes_max, node_filter *f)
{
	str name = STR_NONE;
	body_text(b, "node", &name);
	if (b->failed) {
		return;
	}
	if (name.len > name_bytes_max) {
		body_refuse(b, "node", "a name no longer than a writer's node may be");
	} else if (f->count == NODE_FILTER_MAX) {
		body_refuse(b, "node", "at most 64 names");
	} else {
		f->names[f->count++] = name;
	}
}

void node_filter_read(body *b, uint64_t name_bytes_max, node_filter *out)
{
	out->count = 0;
	if (body_null(b)) {
		return;
	}
	if (!b->failed && jscan_peek(&b->scan) == JSCAN_STRING) {
		add(b, name_bytes_max, out);
	} else if (body_array(b, "node")) {
		while (body_next_element(b)) {
			add(b, name_bytes_max, out);
		}
	}
}

bool node_filter_drops(const node_filter *f, const log_record *r)
{
	for (uint32_t i = 0; r->node.ptr != NULL && i < f->count; i++) {
		if (str_equal(f->names[i], r->node)) {
			return true;
		}
	}
	return false;
}
