#include "log/lease_meta.h"

#include "base/jscan.h"
#include "base/jwrite.h"

enum { DEPTH_MAX = 128 };

static bool is_ours(str key)
{
	return str_equal(key, STR("$dead_letter_from")) || str_equal(key, STR("$dead_letter_deliveries")) ||
		   str_equal(key, STR("$dead_letter_src_seq"));
}

/* The members that stay, each with a comma behind it. What is no object has none. */
static void copy_members(buf *out, str meta)
{
	jscan s;
	str key;
	str value;
	size_t start = out->len;
	jscan_init(&s, meta, DEPTH_MAX);
	if (jscan_peek(&s) != JSCAN_OBJECT || !jscan_begin_object(&s)) {
		return;
	}
	while (jscan_next_member(&s, &key)) {
		bool drop = key.ptr == NULL || is_ours(key);
		size_t before = out->len;
		if (!drop) {
			jwrite_string(out, key);
			buf_append_byte(out, ':');
		}
		if (!jscan_raw(&s, &value)) {
			break;
		}
		if (drop) {
			out->len = before;
		} else {
			buf_append_str(out, value);
			buf_append_byte(out, ',');
		}
	}
	if (!jscan_end(&s)) {
		out->len = start;
	}
}

static void write_text(buf *out, const char *key, str value)
{
	jwrite_key(out, key);
	jwrite_string(out, value);
}

static void write_number(buf *out, const char *key, int64_t value)
{
	jwrite_key(out, key);
	buf_append_byte(out, '"');
	buf_append_i64(out, value);
	buf_append_byte(out, '"');
}

void lease_meta_write(buf *out, const log_record *job, str queue, int64_t deliveries)
{
	buf_append_byte(out, '{');
	if (job->meta.ptr != NULL) {
		copy_members(out, job->meta);
	}
	write_text(out, "$dead_letter_from", queue);
	buf_append_byte(out, ',');
	write_number(out, "$dead_letter_deliveries", deliveries);
	buf_append_byte(out, ',');
	write_number(out, "$dead_letter_src_seq", job->offset + 1);
	buf_append_byte(out, '}');
}
