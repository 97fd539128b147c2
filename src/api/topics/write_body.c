#include "api/topics/write_body.h"

#include <inttypes.h>
#include <string.h>

#include "api/topic_config.h"

enum { FIRST_CAPACITY = 64 };

typedef struct reader {
	body body;
	const write_limits *limits;
	uint32_t count;
	uint32_t capacity;
	str *values;
	/* NULL until a record has one */
	str *tags;
	str *nodes;
	str *metas;
	str batch_node; /* ptr NULL = none */
} reader;

typedef struct record {
	str data;
	str tag;
	str node;
	str meta;
	bool has_data;
} record;

/* ---- errors ---- */

static bool fail(reader *r)
{
	r->body.failed = true;
	return false;
}

/* member NULL: the record itself. */
static bool refuse(reader *r, const char *member, const char *rule)
{
	err_set(r->body.error, ERR_INVALID_REQUEST, "records[%u]%s%s must be %s", r->count, member != NULL ? "." : "",
			member != NULL ? member : "", rule);
	return fail(r);
}

static bool refuse_broken(reader *r)
{
	jscan_err(&r->body.scan, r->body.error);
	return fail(r);
}

/* A member of the wrong type; or, when the JSON itself is broken, that. */
static bool refuse_type(reader *r, const char *member, const char *rule)
{
	jscan_skip(&r->body.scan);
	return jscan_failed(&r->body.scan) ? refuse_broken(r) : refuse(r, member, rule);
}

static bool refuse_long(reader *r, const char *member, uint64_t most)
{
	char rule[64];
	snprintf(rule, sizeof rule, "at most %" PRIu64 " bytes long", most);
	return refuse(r, member, rule);
}

static bool refuse_memory(reader *r)
{
	err_set(r->body.error, ERR_PAYLOAD_TOO_LARGE,
			"the request needs more memory than one request may use; send it in several");
	return fail(r);
}

/* ---- columns ---- */

static bool grow(reader *r, str **column, uint32_t capacity)
{
	str *bigger = arena_alloc_array(r->body.arena, capacity, sizeof *bigger);
	if (bigger == NULL) {
		return refuse_memory(r);
	}
	size_t used = *column != NULL ? r->count : 0;
	if (used > 0) {
		memcpy(bigger, *column, used * sizeof *bigger);
	}
	memset(bigger + used, 0, (capacity - used) * sizeof *bigger);
	*column = bigger;
	return true;
}

static bool grow_made(reader *r, str **column, uint32_t capacity)
{
	return *column == NULL || grow(r, column, capacity);
}

/* Room for one record more. */
static bool reserve(reader *r)
{
	uint32_t most = r->limits->records;
	if (r->count == most) {
		err_set(r->body.error, ERR_BATCH_TOO_LARGE, "a write may hold at most %u records; send them in several", most);
		return fail(r);
	}
	if (r->count < r->capacity) {
		return true;
	}
	uint32_t capacity = r->capacity == 0 ? FIRST_CAPACITY : r->capacity * 4;
	capacity = capacity < most ? capacity : most;
	if (!grow(r, &r->values, capacity) || !grow_made(r, &r->tags, capacity) || !grow_made(r, &r->nodes, capacity) ||
		!grow_made(r, &r->metas, capacity)) {
		return false;
	}
	r->capacity = capacity;
	return true;
}

static bool put(reader *r, str **column, str text)
{
	if (*column == NULL) {
		if (text.ptr == NULL) {
			return true;
		}
		if (!grow(r, column, r->capacity)) {
			return false;
		}
	}
	(*column)[r->count] = text;
	return true;
}

/* ---- members of a record ---- */

static bool compact(reader *r, str raw, str *out)
{
	return jscan_compact_view(r->body.arena, raw, out) || refuse_memory(r);
}

static bool read_data(reader *r, record *rec)
{
	str raw;
	rec->has_data = true;
	return jscan_raw(&r->body.scan, &raw) ? compact(r, raw, &rec->data) : refuse_broken(r);
}

static bool read_text(reader *r, const char *member, uint64_t most, str *out)
{
	jscan *s = &r->body.scan;
	*out = STR_NONE;
	if (jscan_peek(s) != JSCAN_STRING) {
		return jscan_null(s) || refuse_type(r, member, "a string or null");
	}
	jscan_string found;
	if (!jscan_string_raw(s, &found)) {
		return refuse_broken(r);
	}
	if (!jscan_string_decode(r->body.arena, found, out)) {
		return refuse_memory(r);
	}
	return out->len <= most || refuse_long(r, member, most);
}

static bool read_meta(reader *r, record *rec)
{
	jscan *s = &r->body.scan;
	str key;
	uint32_t keys = 0;
	rec->meta = STR_NONE;
	if (jscan_peek(s) != JSCAN_OBJECT) {
		return jscan_null(s) || refuse_type(r, "meta", "an object or null");
	}
	const char *begin = s->at;
	jscan_begin_object(s);
	while (jscan_next_member(s, &key)) {
		keys++;
		jscan_skip(s);
	}
	if (jscan_failed(s)) {
		return refuse_broken(r);
	}
	if (!compact(r, (str){begin, (size_t)(s->at - begin)}, &rec->meta)) {
		return false;
	}
	if (keys > WRITE_META_KEYS_MAX) {
		return refuse(r, "meta", "an object of at most 64 members");
	}
	return rec->meta.len <= r->limits->meta_bytes || refuse_long(r, "meta", r->limits->meta_bytes);
}

#define IS(key, literal) ((key).len == sizeof(literal) - 1 && memcmp((key).ptr, literal, sizeof(literal) - 1) == 0)

static bool read_record_member(reader *r, str key, record *rec)
{
	if (IS(key, "data")) {
		return read_data(r, rec);
	}
	if (IS(key, "tag")) {
		return read_text(r, "tag", r->limits->tag_bytes, &rec->tag);
	}
	if (IS(key, "node")) {
		return read_text(r, "node", r->limits->node_bytes, &rec->node);
	}
	if (IS(key, "meta")) {
		return read_meta(r, rec);
	}
	return jscan_skip(&r->body.scan) || refuse_broken(r);
}

static bool add_record(reader *r, const record *rec)
{
	uint64_t bytes = (uint64_t)rec->data.len + rec->meta.len;
	if (!rec->has_data) {
		return refuse(r, NULL, "an object with a member \"data\" (null is fine)");
	}
	if (bytes > r->limits->record_bytes) {
		err_set(r->body.error, ERR_RECORD_TOO_LARGE,
				"records[%u] has %" PRIu64 " bytes of data and meta; at most %" PRIu64 " are allowed", r->count, bytes,
				r->limits->record_bytes);
		return fail(r);
	}
	if (!reserve(r) || !put(r, &r->tags, rec->tag) || !put(r, &r->nodes, rec->node) || !put(r, &r->metas, rec->meta)) {
		return false;
	}
	r->values[r->count++] = rec->data;
	return true;
}

static bool read_record(reader *r)
{
	record rec = {0};
	str key;
	jscan *s = &r->body.scan;
	if (jscan_peek(s) != JSCAN_OBJECT) {
		return refuse_type(r, NULL, "an object with a member \"data\"");
	}
	jscan_begin_object(s);
	while (jscan_next_member(s, &key)) {
		if (!read_record_member(r, key, &rec)) {
			return false;
		}
	}
	return jscan_failed(s) ? refuse_broken(r) : add_record(r, &rec);
}

/* ---- members of the body ---- */

static void read_records(reader *r)
{
	r->count = 0; /* a repeated member: the last one counts */
	r->tags = NULL;
	r->nodes = NULL;
	r->metas = NULL;
	if (!body_array(&r->body, "records")) {
		return;
	}
	while (jscan_next_element(&r->body.scan)) {
		if (!read_record(r)) {
			return;
		}
	}
	if (jscan_failed(&r->body.scan)) {
		refuse_broken(r);
	}
}

static void read_limited(reader *r, const char *name, uint64_t most, str *out)
{
	char rule[64];
	*out = STR_NONE;
	if (body_null(&r->body)) {
		return;
	}
	body_text(&r->body, name, out);
	if (!r->body.failed && out->len > most) {
		snprintf(rule, sizeof rule, "at most %" PRIu64 " bytes long", most);
		body_refuse(&r->body, name, rule);
	}
}

static void read_create(reader *r, write_body *out)
{
	out->has_create = !body_null(&r->body);
	if (out->has_create) {
		body_bool(&r->body, "create", &out->create);
	}
}

static void read_config(reader *r, write_body *out)
{
	out->config = log_topic_config_default(LOG_DISK);
	out->has_config = !body_null(&r->body);
	if (out->has_config && body_object(&r->body, "config")) {
		topic_config_read(&r->body, &out->config);
	}
}

static void read_member(reader *r, str key, write_body *out)
{
	if (IS(key, "records")) {
		read_records(r);
	} else if (IS(key, "node")) {
		read_limited(r, "node", r->limits->node_bytes, &r->batch_node);
	} else if (IS(key, "idempotency_key")) {
		read_limited(r, "idempotency_key", WRITE_KEY_BYTES_MAX, &out->idempotency_key);
	} else if (IS(key, "create")) {
		read_create(r, out);
	} else if (IS(key, "config")) {
		read_config(r, out);
	} else if (IS(key, "disable_backpressure")) {
		body_bool(&r->body, "disable_backpressure", &out->disable_backpressure);
	} else {
		body_skip(&r->body);
	}
}

/* Records without a node of their own get the batch's. */
static bool apply_node(reader *r)
{
	if (r->batch_node.ptr == NULL) {
		return true;
	}
	if (r->nodes == NULL && !grow(r, &r->nodes, r->capacity)) {
		return false;
	}
	for (uint32_t i = 0; i < r->count; i++) {
		if (r->nodes[i].ptr == NULL) {
			r->nodes[i] = r->batch_node;
		}
	}
	return true;
}

bool write_body_read(str text, arena *a, const write_limits *limits, write_body *out, err *e)
{
	reader r = {.limits = limits};
	str key;
	*out = (write_body){.config = log_topic_config_default(LOG_DISK)};
	if (!body_begin_text(&r.body, text, a, e)) {
		return false;
	}
	while (body_next(&r.body, &key)) {
		read_member(&r, key, out);
	}
	if (!body_end(&r.body)) {
		return false;
	}
	if (r.count == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "there are no records; send {\"records\":[{\"data\":…}]}");
	}
	if (!apply_node(&r)) {
		return false;
	}
	out->columns =
		(log_columns){.count = r.count, .values = r.values, .tags = r.tags, .nodes = r.nodes, .metas = r.metas};
	return true;
}

uint64_t write_body_bytes(const write_body *w)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < w->columns.count; i++) {
		bytes += w->columns.values[i].len;
		bytes += w->columns.metas != NULL ? w->columns.metas[i].len : 0;
	}
	return bytes;
}
