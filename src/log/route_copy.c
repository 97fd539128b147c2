#include "log/route_copy.h"

#include "base/jscan.h"
#include "base/jwrite.h"

enum { META_KEYS_MAX = 64, META_DEPTH = 128, MARK_BYTES = 4096 };

bool route_takes(const log_router *r, const log_record *record)
{
	return record->hops < LOG_ROUTE_HOPS_MAX && (!r->has_filter || log_tag_matches(&r->filter, record->tag));
}

static bool keep(arena *a, buf *text, str *out)
{
	bool ok = !text->failed && arena_copy_str(a, buf_str(text), out);
	buf_dispose(text);
	return ok;
}

bool route_key(arena *a, const route_origin *o, str *out)
{
	buf key;
	buf_init(&key, MARK_BYTES);
	buf_printf(&key, "router:%.*s:%lld:%lld:%lld", STR_ARG(o->router), (long long)o->source_id,
			   (long long)o->source_epoch, (long long)o->source_seq);
	return keep(a, &key, out);
}

/* Lists the members of an object, each as it stands in the text; false: it is none, or has more than `max` besides the
 * mark. */
static bool list_members(str meta, str *list, size_t max, size_t *count)
{
	jscan s;
	str key;
	size_t others = 0;
	*count = 0;
	jscan_init(&s, meta, META_DEPTH);
	if (jscan_peek(&s) != JSCAN_OBJECT || !jscan_begin_object(&s)) {
		return false;
	}
	for (;;) {
		const char *from = s.at;
		str value;
		if (!jscan_next_member(&s, &key)) {
			break;
		}
		bool is_mark = str_equal(key, STR("_topics_router"));
		others += is_mark ? 0 : 1;
		if (!jscan_raw(&s, &value) || others > max) {
			return false;
		}
		while (from < s.end && *from != '"') {
			from++; /* the comma before it */
		}
		if (!is_mark) {
			list[(*count)++] = (str){from, (size_t)(value.ptr + value.len - from)};
		}
	}
	return jscan_end(&s);
}

static void write_mark(buf *out, const route_origin *o, str key)
{
	buf_append_str(out, STR("\"_topics_router\":{\"idempotency_key\":"));
	jwrite_string(out, key);
	buf_append_str(out, STR(",\"router\":"));
	jwrite_string(out, o->router);
	buf_append_str(out, STR(",\"source_topic\":"));
	jwrite_string(out, o->source);
	buf_printf(out, ",\"source_topic_id\":%lld,\"source_epoch\":%lld,\"source_seq\":%lld}", (long long)o->source_id,
			   (long long)o->source_epoch, (long long)o->source_seq);
}

bool route_mark_meta(arena *a, str meta, const route_origin *o, str key, str *out)
{
	str members[META_KEYS_MAX];
	size_t count = 0;
	buf text;
	buf_init(&text, meta.len + MARK_BYTES);
	buf_append_byte(&text, '{');
	if (meta.ptr != NULL && list_members(meta, members, META_KEYS_MAX - 1, &count)) {
		for (size_t i = 0; i < count; i++) {
			buf_append_str(&text, members[i]);
			buf_append_byte(&text, ',');
		}
		write_mark(&text, o, key);
	} else {
		write_mark(&text, o, key);
		if (meta.ptr != NULL) {
			buf_append_str(&text, STR(",\"_topics_original_meta\":"));
			buf_append_str(&text, meta);
		}
	}
	buf_append_byte(&text, '}');
	return keep(a, &text, out);
}
