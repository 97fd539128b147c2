#include "api/topics/filter.h"

#include "base/jwrite.h"
#include "base/text.h"

static const char rule[] = "[\"tag\",\"Eq\",\"value\"], [\"tag\",\"Glob\",\"prefix*\"] or a string";

static bool is_glob(str text)
{
	return str_ends_with(text, STR("*"));
}

static void set_glob(str text, log_tag_match *out)
{
	*out = (log_tag_match){LOG_TAG_PREFIX, str_take(text, text.len - 1)};
}

static void read_bare(body *b, const char *name, log_tag_match *out)
{
	str text = STR_NONE;
	body_text(b, name, &text);
	if (b->failed) {
		return;
	}
	if (is_glob(text)) {
		set_glob(text, out);
	} else {
		*out = (log_tag_match){LOG_TAG_EQUAL, text};
	}
}

static void read_triple(body *b, const char *name, log_tag_match *out)
{
	str parts[3] = {STR_NONE, STR_NONE, STR_NONE};
	size_t count = 0;
	if (!body_array(b, name)) {
		return;
	}
	while (body_next_element(b)) {
		if (count == 3 || jscan_peek(&b->scan) != JSCAN_STRING) {
			body_skip(b); /* what is broken in it is told first */
			body_refuse(b, name, rule);
			return;
		}
		body_text(b, name, &parts[count++]);
	}
	if (b->failed) {
		return;
	}
	if (count == 3 && str_equal(parts[0], STR("tag")) && str_equal(parts[1], STR("Eq"))) {
		*out = (log_tag_match){LOG_TAG_EQUAL, parts[2]};
	} else if (count == 3 && str_equal(parts[0], STR("tag")) && str_equal(parts[1], STR("Glob")) && is_glob(parts[2])) {
		set_glob(parts[2], out);
	} else {
		body_refuse(b, name, rule);
	}
}

void filter_read(body *b, const char *name, log_tag_match *out)
{
	if (b->failed) {
		return;
	}
	jscan_type type = jscan_peek(&b->scan);
	if (type == JSCAN_STRING) {
		read_bare(b, name, out);
	} else if (type == JSCAN_ARRAY) {
		read_triple(b, name, out);
	} else {
		body_skip(b);
		body_refuse(b, name, rule);
	}
}

void filter_write(buf *out, const log_tag_match *m)
{
	if (m->kind == LOG_TAG_EQUAL) {
		buf_append_str(out, STR("[\"tag\",\"Eq\","));
		jwrite_string(out, m->text);
	} else {
		/* The star goes inside the quotes. */
		buf_append_str(out, STR("[\"tag\",\"Glob\","));
		jwrite_string(out, m->text);
		if (!out->failed) {
			out->len--;
			buf_append_str(out, STR("*\""));
		}
	}
	buf_append_byte(out, ']');
}
