#include "api/topic_config.h"

#include "api/operation.h"
#include "base/jwrite.h"

#include <stddef.h>

enum { LEASE_MS_MIN = 100, LEASE_MS_MAX = 86400000, CLAIM_JITTER_MS_MAX = 5000 };

static const char *const kind_names[] = {[LOG_KIND_LOG] = "log", [LOG_KIND_QUEUE] = "queue"};
static const char *const durability_names[] = {
	[LOG_EPHEMERAL] = "ephemeral", [LOG_MEMORY] = "memory", [LOG_DISK] = "disk", [LOG_FSYNC] = "fsync"};

typedef struct field {
	const char *name;
	size_t offset;
} field;

#define FIELD(member)                                                                                                  \
	{                                                                                                                  \
#member, offsetof(log_topic_config, member)                                                                    \
	}

static const field unsigned_fields[] = {
	FIELD(ttl_ms),   FIELD(cap_records),     FIELD(cap_bytes),     FIELD(idempotency_window_ms),
	FIELD(lease_ms), FIELD(claim_jitter_ms), FIELD(max_deliveries)};
static const field bool_fields[] = {FIELD(auto_priority), FIELD(auto_create), FIELD(dedupe_node),
									FIELD(leases_durable)};

#undef FIELD

static const field *find_field(const field *fields, size_t count, str key)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(key, str_from_c(fields[i].name))) {
			return &fields[i];
		}
	}
	return NULL;
}

/* One of `names`; *out is its index. */
static bool read_choice(body *b, const char *name, const char *const *names, int count, const char *rule, int *out)
{
	str text = STR_NONE;
	body_text(b, name, &text);
	for (int i = 0; i < count && !b->failed; i++) {
		if (str_equal(text, str_from_c(names[i]))) {
			*out = i;
			return true;
		}
	}
	body_refuse(b, name, rule);
	return false;
}

/* What was said about the durability class; an explicit class wins over the shorthand. */
typedef struct stated_class {
	bool has_class;
	bool has_durable;
	bool durable;
	int durability;
} stated_class;

static void read_discard(body *b, log_topic_config *c)
{
	static const char *const names[] = {"reject", "old"};
	int choice;
	if (read_choice(b, "discard", names, 2, "\"old\" or \"reject\"", &choice)) {
		c->discard_old = choice == 1;
	}
}

static void read_kind(body *b, log_topic_config *c)
{
	int choice;
	if (read_choice(b, "type", kind_names, 2, "\"log\" or \"queue\"", &choice)) {
		c->kind = (log_kind)choice;
	}
}

static void read_priority(body *b, log_topic_config *c)
{
	int64_t priority = 0;
	c->has_priority = !body_null(b);
	if (c->has_priority) {
		body_integer(b, "priority", INT32_MIN, INT32_MAX, &priority);
	}
	c->priority = (int32_t)priority;
}

static void read_dead_letter(body *b, log_topic_config *c)
{
	c->dead_letter = STR_NONE;
	if (!body_null(b)) {
		body_text(b, "dead_letter", &c->dead_letter);
		if (!b->failed && !api_topic_name_is_valid(c->dead_letter)) {
			body_refuse(b, "dead_letter", "null or a topic name (letters, digits, . _ : -, at most 255)");
		}
	}
}

static void read_member(body *b, str key, log_topic_config *c, stated_class *stated)
{
	const field *f;
	if ((f = find_field(unsigned_fields, sizeof unsigned_fields / sizeof *f, key)) != NULL) {
		body_unsigned(b, f->name, (int64_t *)(void *)((char *)c + f->offset));
	} else if ((f = find_field(bool_fields, sizeof bool_fields / sizeof *f, key)) != NULL) {
		body_bool(b, f->name, (bool *)((char *)c + f->offset));
	} else if (str_equal(key, STR("type"))) {
		read_kind(b, c);
	} else if (str_equal(key, STR("discard"))) {
		read_discard(b, c);
	} else if (str_equal(key, STR("durable"))) {
		body_bool(b, "durable", &stated->durable);
		stated->has_durable = true;
	} else if (str_equal(key, STR("durability"))) {
		stated->has_class =
			!body_null(b) && read_choice(b, "durability", durability_names, 4,
										 "\"ephemeral\", \"memory\", \"disk\" or \"fsync\"", &stated->durability);
	} else if (str_equal(key, STR("priority"))) {
		read_priority(b, c);
	} else if (str_equal(key, STR("dead_letter"))) {
		read_dead_letter(b, c);
	} else {
		body_skip(b);
	}
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

void topic_config_read(body *b, log_topic_config *c)
{
	stated_class stated = {0};
	str key;
	while (body_next(b, &key)) {
		read_member(b, key, c, &stated);
	}
	if (stated.has_class) {
		c->durability = (log_durability)stated.durability;
	} else if (stated.has_durable) {
		c->durability = stated.durable ? LOG_FSYNC : LOG_DISK;
	}
	c->lease_ms = clamp(c->lease_ms, LEASE_MS_MIN, LEASE_MS_MAX);
	c->claim_jitter_ms = clamp(c->claim_jitter_ms, 0, CLAIM_JITTER_MS_MAX);
}

bool topic_config_check(const log_topic_config *c, str topic_name, err *e)
{
	bool is_own = c->dead_letter.ptr != NULL && str_equal(c->dead_letter, topic_name);
	return !(c->kind == LOG_KIND_QUEUE && is_own) ||
		   err_set(e, ERR_INVALID_REQUEST, "dead_letter must be another topic than the queue itself");
}

static void write_text(buf *out, const char *key, const char *text)
{
	jwrite_key(out, key);
	jwrite_string(out, str_from_c(text));
	buf_append_byte(out, ',');
}

static void write_number(buf *out, const char *key, int64_t value)
{
	jwrite_key(out, key);
	buf_append_i64(out, value);
	buf_append_byte(out, ',');
}

static void write_bool(buf *out, const char *key, bool value)
{
	jwrite_key(out, key);
	jwrite_bool(out, value);
	buf_append_byte(out, ',');
}

void topic_config_write(buf *out, const log_topic_config *c)
{
	buf_append_byte(out, '{');
	write_text(out, "type", kind_names[c->kind]);
	write_number(out, "ttl_ms", c->ttl_ms);
	write_number(out, "cap_records", c->cap_records);
	write_number(out, "cap_bytes", c->cap_bytes);
	write_text(out, "discard", c->discard_old ? "old" : "reject");
	write_bool(out, "durable", c->durability == LOG_FSYNC);
	write_text(out, "durability", durability_names[c->durability]);
	if (c->has_priority) {
		write_number(out, "priority", c->priority);
	} else {
		buf_append_str(out, STR("\"priority\":null,"));
	}
	write_bool(out, "auto_priority", c->auto_priority);
	write_bool(out, "auto_create", c->auto_create);
	write_number(out, "idempotency_window_ms", c->idempotency_window_ms);
	write_bool(out, "dedupe_node", c->dedupe_node);
	write_number(out, "lease_ms", c->lease_ms);
	write_number(out, "claim_jitter_ms", c->claim_jitter_ms);
	write_number(out, "max_deliveries", c->max_deliveries);
	jwrite_key(out, "dead_letter");
	if (c->dead_letter.ptr != NULL) {
		jwrite_string(out, c->dead_letter);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_byte(out, ',');
	jwrite_key(out, "leases_durable");
	jwrite_bool(out, c->leases_durable);
	buf_append_byte(out, '}');
}
