/*
 * api/topics/write_body: whatever is accepted is within its limits and is compact, valid JSON, and means the same when it
 * is written down and read again.
 */
#include "fuzz.h"

#include "api/topics/write_body.h"
#include "base/jscan.h"
#include "base/jwrite.h"

enum { MEMORY = 64 << 20, TEXT = 64 << 20 };

static const write_limits limits = {
	.records = 50, .record_bytes = 2000, .meta_bytes = 500, .tag_bytes = 20, .node_bytes = 10};

static void check_json(str text)
{
	jscan s;
	buf compact;
	jscan_init(&s, text, 128);
	FUZZ_CHECK(jscan_skip(&s) && jscan_end(&s));
	buf_init(&compact, TEXT);
	jscan_compact(text, &compact);
	FUZZ_CHECK(str_equal(buf_str(&compact), text));
	buf_dispose(&compact);
}

static str at(const str *column, uint32_t i)
{
	return column != NULL ? column[i] : STR_NONE;
}

static void write_member(buf *out, const char *name, str text)
{
	if (text.ptr != NULL) {
		buf_append_byte(out, ',');
		jwrite_key(out, name);
		jwrite_string(out, text);
	}
}

static void write_record(buf *out, const log_columns *c, uint32_t i)
{
	buf_append_str(out, i > 0 ? STR(",{\"data\":") : STR("{\"data\":"));
	buf_append_str(out, c->values[i]);
	write_member(out, "tag", at(c->tags, i));
	write_member(out, "node", at(c->nodes, i));
	if (at(c->metas, i).ptr != NULL) {
		buf_append_str(out, STR(",\"meta\":"));
		buf_append_str(out, c->metas[i]);
	}
	buf_append_byte(out, '}');
}

static void check_same(str a, str b)
{
	FUZZ_CHECK((a.ptr == NULL) == (b.ptr == NULL) && str_equal(a, b));
}

static void check_record(const log_columns *c, uint32_t i)
{
	FUZZ_CHECK(c->values[i].ptr != NULL && c->values[i].len + at(c->metas, i).len <= limits.record_bytes);
	FUZZ_CHECK(at(c->tags, i).len <= limits.tag_bytes && at(c->nodes, i).len <= limits.node_bytes);
	check_json(c->values[i]);
	if (at(c->metas, i).ptr != NULL) {
		FUZZ_CHECK(c->metas[i].ptr[0] == '{' && c->metas[i].len <= limits.meta_bytes);
		check_json(c->metas[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	write_body w;
	write_body again;
	buf text;
	err e;
	arena *a = arena_new(MEMORY);
	FUZZ_CHECK(a != NULL);
	buf_init(&text, TEXT);
	if (!write_body_read((str){(const char *)data, size}, a, &limits, &w, &e)) {
		FUZZ_CHECK(e.code != ERR_NONE && e.code != ERR_INTERNAL && e.message[0] != '\0');
		goto out;
	}
	FUZZ_CHECK(w.columns.count >= 1 && w.columns.count <= limits.records);
	buf_append_str(&text, STR("{\"records\":["));
	for (uint32_t i = 0; i < w.columns.count; i++) {
		check_record(&w.columns, i);
		write_record(&text, &w.columns, i);
	}
	buf_append_str(&text, STR("]}"));
	FUZZ_CHECK(!text.failed && write_body_read(buf_str(&text), a, &limits, &again, &e));
	FUZZ_CHECK(again.columns.count == w.columns.count && write_body_bytes(&w) == write_body_bytes(&again));
	for (uint32_t i = 0; i < w.columns.count; i++) {
		check_same(w.columns.values[i], again.columns.values[i]);
		check_same(at(w.columns.tags, i), at(again.columns.tags, i));
		check_same(at(w.columns.nodes, i), at(again.columns.nodes, i));
		check_same(at(w.columns.metas, i), at(again.columns.metas, i));
	}
out:
	buf_dispose(&text);
	arena_free(a);
	return 0;
}
