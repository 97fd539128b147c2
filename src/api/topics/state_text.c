#include "api/topics/state_text.h"

#include <math.h>

#include "base/jwrite.h"

enum { PRIORITY_MAX = 1000, TOUCHED_PRIORITY = 500, HALF_LIFE_MS = 30000, FORGOTTEN_MS = 300000 };

void state_write_name(buf *out, str name)
{
	jwrite_key(out, "topic");
	jwrite_string(out, name);
}

void state_write_seqs(buf *out, int64_t end_offset, int64_t start_offset)
{
	buf_append_str(out, STR("\"head_seq\":"));
	buf_append_i64(out, end_offset);
	buf_append_str(out, STR(",\"earliest_seq\":"));
	buf_append_i64(out, start_offset + 1);
}

void state_write_sizes(buf *out, const log_state *s)
{
	buf_append_str(out, STR("\"count\":"));
	buf_append_i64(out, s->records);
	buf_append_str(out, STR(",\"bytes\":"));
	buf_append_i64(out, s->records > 0 ? s->bytes : 0);
}

int64_t state_priority(const log_topic_config *c, int64_t last_read_ms, int64_t now_ms)
{
	if (c->has_priority) {
		return c->priority < -PRIORITY_MAX ? -PRIORITY_MAX : c->priority > PRIORITY_MAX ? PRIORITY_MAX : c->priority;
	}
	int64_t idle_ms = now_ms > last_read_ms ? now_ms - last_read_ms : 0;
	if (!c->auto_priority || last_read_ms == 0 || idle_ms >= FORGOTTEN_MS) {
		return 0;
	}
	return llround(TOUCHED_PRIORITY * exp2(-(double)idle_ms / HALF_LIFE_MS));
}

const char *state_gap_reason(const log_gap *gap)
{
	if (gap->by_cap || gap->by_ttl) {
		return gap->by_cap && gap->by_ttl ? "mixed" : gap->by_cap ? "cap" : "ttl";
	}
	return "source_trim";
}
