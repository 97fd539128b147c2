#include "api/httpmq/consumer_body.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/wire.h"
#include "base/id.h"

#include <string.h>

enum { NOTES_BYTES_MAX = 64 << 10, INBOX_RANDOM_BYTES = 11, INBOX_TEXT_MAX = 64 };

typedef struct param {
	str mode;
	int64_t max_retry;
	bool has_group;
} param;

static bool read_members(http_exchange *x, httpmq_consumer *c, param *extra, err *e)
{
	body b;
	str key;
	if (!httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "name")) {
			body_text(&b, "name", &c->name);
		} else if (httpmq_key_is(key, "mode")) {
			body_text(&b, "mode", &extra->mode);
		} else if (httpmq_key_is(key, "max_inflight")) {
			body_integer(&b, "max_inflight", INT64_MIN, INT64_MAX, &c->max_inflight);
		} else if (httpmq_key_is(key, "max_retry")) {
			body_integer(&b, "max_retry", INT64_MIN, INT64_MAX, &extra->max_retry);
		} else if (httpmq_key_is(key, "ack_wait")) {
			body_integer(&b, "ack_wait", INT64_MIN, INT64_MAX, &c->ack_wait_ns);
		} else if (httpmq_key_is(key, "filter_subject")) {
			body_text(&b, "filter_subject", &c->filter);
		} else if (httpmq_key_is(key, "delivery_group")) {
			body_text(&b, "delivery_group", &c->group);
			extra->has_group = true;
		} else if (httpmq_key_is(key, "notes")) {
			body_text(&b, "notes", &c->notes);
		} else {
			body_skip(&b);
		}
	}
	return httpmq_body_end(&b);
}

static bool is_storable(str text, size_t most)
{
	return text.len <= most && (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);
}

static bool check(const httpmq_consumer *c, const param *extra, err *e)
{
	if (!httpmq_name_is_valid(c->name) || c->name.len > HTTPMQ_NAME_MAX) {
		return err_set(e, ERR_REFUSED, "name must be letters and digits, at most %d, or a UUID in lower case",
					   HTTPMQ_NAME_MAX);
	}
	if (!str_equal(extra->mode, STR("push")) && !str_equal(extra->mode, STR("pull"))) {
		return err_set(e, ERR_REFUSED, "mode must be push or pull");
	}
	if (c->max_inflight < 1) {
		return err_set(e, ERR_REFUSED, "max_inflight must be 1 or more");
	}
	if (extra->max_retry < -1) {
		return err_set(e, ERR_REFUSED, "max_retry must be -1 (no limit) or more");
	}
	if (c->ack_wait_ns < 0) {
		return err_set(e, ERR_REFUSED, "ack_wait must be 0 (30 seconds) or a number of nanoseconds");
	}
	if (extra->has_group && (!httpmq_name_is_valid(c->group) || c->group.len > HTTPMQ_NAME_MAX)) {
		return err_set(e, ERR_REFUSED, "delivery_group must be letters and digits, at most %d, or a UUID in lower case",
					   HTTPMQ_NAME_MAX);
	}
	if (extra->has_group && c->is_pull) {
		return err_set(e, ERR_REFUSED, "delivery_group is for consumers of mode push");
	}
	return (is_storable(c->filter, HTTPMQ_SUBJECT_MAX) && is_storable(c->notes, NOTES_BYTES_MAX)) ||
		   err_set(e, ERR_REFUSED, "filter_subject or notes is too long, or has a NUL in it");
}

static bool name_inbox(http_exchange *x, str *out, err *e)
{
	buf text;
	buf_init(&text, INBOX_TEXT_MAX);
	buf_append_str(&text, STR("_INBOX."));
	unsigned char random[INBOX_RANDOM_BYTES];
	id_random(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++) {
		buf_printf(&text, "%02x", random[i]);
	}
	bool ok = !text.failed && arena_copy_str(http_arena(x), buf_str(&text), out);
	buf_dispose(&text);
	return ok || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

bool consumer_body_read(http_exchange *x, httpmq_consumer *out, err *e)
{
	param extra = {.max_retry = -1};
	httpmq_consumer c = {.filter = STR(""), .group = STR(""), .notes = STR(""), .deliver_subject = STR("")};
	if (!read_members(x, &c, &extra, e)) {
		return false;
	}
	c.is_pull = str_equal(extra.mode, STR("pull"));
	if (!check(&c, &extra, e)) {
		return false;
	}
	c.max_deliver = extra.max_retry > 0 ? extra.max_retry : -1;
	if (c.ack_wait_ns == 0) {
		c.ack_wait_ns = HTTPMQ_ACK_WAIT_DEFAULT_S * INT64_C(1000) * HTTPMQ_NS_PER_MS;
	}
	if (!c.is_pull && !name_inbox(x, &c.deliver_subject, e)) {
		return false;
	}
	*out = c;
	return true;
}
