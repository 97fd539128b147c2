#include "api/durable/subscription/object.h"

#include "api/durable/instant.h"
#include "base/jwrite.h"

enum { URL_MAX = 4096 };

static void write_text_or_null(buf *out, const char *key, str text)
{
	jwrite_key(out, key);
	if (text.ptr != NULL) {
		jwrite_string(out, text);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_byte(out, ',');
}

static void write_position(buf *out, durable_offset position)
{
	char text[DURABLE_OFFSET_SIZE];
	jwrite_string(out, position.count < 0 ? STR("-1") : durable_offset_print(position, text));
}

static void write_link(buf *out, const subscription_link *link)
{
	buf_append_str(out, STR("{\"path\":"));
	jwrite_string(out, link->path);
	buf_append_str(out, link->is_explicit ? STR(",\"link_type\":\"explicit\"") : STR(",\"link_type\":\"glob\""));
	buf_append_str(out, STR(",\"acked_offset\":"));
	write_position(out, link->acked);
}

/* Unreserved characters of RFC 3986 stay. */
static void write_percent(buf *out, str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
			c == '_' || c == '~') {
			buf_append_byte(out, c);
		} else {
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
		}
	}
}

static void write_webhook(buf *out, const subscription *s, str key_id)
{
	buf url;
	buf_init(&url, URL_MAX);
	buf_append_str(&url, s->base_url);
	buf_append_str(&url, STR(SUBSCRIPTION_CONTROL_PREFIX "jwks.json"));
	buf_append_str(out, STR("\"webhook\":{\"url\":"));
	jwrite_string(out, s->webhook_url);
	buf_append_str(out, STR(",\"signing\":{\"alg\":\"ed25519\",\"kid\":"));
	jwrite_string(out, key_id);
	buf_append_str(out, STR(",\"jwks_url\":"));
	jwrite_string(out, buf_str(&url));
	buf_append_str(out, STR("}},"));
	out->failed = out->failed || url.failed;
	buf_dispose(&url);
}

void subscription_write_object(buf *out, const subscription *s, const subscription_link *links, size_t count,
							   str key_id)
{
	bool has_failed = s->is_webhook && s->failures > 0 && s->tell_ms != 0;
	buf_append_str(out, STR("{\"id\":"));
	jwrite_string(out, s->name);
	buf_append_str(out, STR(",\"subscription_id\":"));
	jwrite_string(out, s->name);
	buf_append_str(out, s->is_webhook ? STR(",\"type\":\"webhook\",") : STR(",\"type\":\"pull-wake\","));
	write_text_or_null(out, "pattern", s->pattern);
	buf_append_str(out, STR("\"streams\":["));
	for (size_t i = 0; i < count; i++) {
		if (i > 0) {
			buf_append_byte(out, ',');
		}
		write_link(out, &links[i]);
		buf_append_byte(out, '}');
	}
	buf_append_str(out, STR("],"));
	if (s->is_webhook) {
		write_webhook(out, s, key_id);
	} else {
		write_text_or_null(out, "wake_stream", s->wake_stream);
	}
	jwrite_key(out, "lease_ttl_ms");
	buf_append_i64(out, s->lease_ttl_ms);
	buf_append_str(out, STR(",\"created_at\":\""));
	durable_instant_print(out, s->created_ms);
	buf_append_str(out, STR("\","));
	write_text_or_null(out, "description", s->description);
	buf_append_str(out, has_failed ? STR("\"status\":\"failed\"}") : STR("\"status\":\"active\"}"));
}

void subscription_write_streams(buf *out, const subscription_link *links, size_t count)
{
	static const durable_offset START = {0, 0};
	buf_append_byte(out, '[');
	for (size_t i = 0; i < count; i++) {
		const subscription_link *link = &links[i];
		durable_offset known = link->acked.count < 0 ? START : link->acked;
		if (i > 0) {
			buf_append_byte(out, ',');
		}
		write_link(out, link);
		/* What came after the wake was made is the next wake's. */
		bool is_pending = link->is_in_wake && durable_offset_compare(link->wake, known) > 0;
		buf_append_str(out, STR(",\"tail_offset\":"));
		write_position(out, is_pending ? link->wake : known);
		buf_append_str(out, STR(",\"has_pending\":"));
		jwrite_bool(out, is_pending);
		buf_append_byte(out, '}');
	}
	buf_append_byte(out, ']');
}

void subscription_write_callback_url(buf *out, const subscription *s)
{
	buf_append_str(out, s->base_url);
	buf_append_str(out, STR(SUBSCRIPTION_CONTROL_PREFIX "subscriptions/"));
	write_percent(out, s->name);
	buf_append_str(out, STR("/callback"));
}
