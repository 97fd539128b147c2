#include "api/topics/write.h"

#include "api/allowance.h"
#include "api/operation.h"
#include "api/topic_config.h"
#include "api/topics/wire.h"
#include "base/clock.h"
#include "base/jwrite.h"
#include "log/quota.h"

enum {
	SEQ_BYTES = 12, /* of one seq in an answer, roughly */
	PATIENCE_MS = 5000,
	PATIENCE_STEP_MS = 50
};

static void end(topic_write *w)
{
	log_topic_unref(w->topic);
	w->topic = NULL;
	w->done(w);
}

static void fail(topic_write *w, const err *e)
{
	w->error = *e;
	end(w);
}

/* ---- waiting where others are refused ---- */

static void submit(topic_write *w);
static void look_up(topic_write *w);

static void on_time(void *context)
{
	topic_write *w = context;
	if (w->topic != NULL) {
		submit(w);
	} else {
		look_up(w);
	}
}

/* Whether a write that found a queue full tries again in a moment: who asked for it, and who has just made a topic, which
 * must not be left behind. A cap that is reached has a detail, load has none. */
static bool is_patient(topic_write *w, const err *e)
{
	int64_t now_ms = clock_now_ms();
	if (!(w->body.disable_backpressure || w->created) || e->code != ERR_THROTTLED || e->detail[0] != '\0' ||
		atomic_load(&w->api->is_stopping)) {
		return false;
	}
	if (w->patient_until_ms == 0) {
		w->patient_until_ms = now_ms + PATIENCE_MS;
	}
	return now_ms < w->patient_until_ms &&
		   timer_schedule(log_engine_timer(w->api->log), now_ms + PATIENCE_STEP_MS, on_time, w) != 0;
}

/* ---- a topic that is not there ---- */

/* A write that its own configuration refuses must not leave the topic behind. */
static bool check_caps(const write_body *b, err *e)
{
	const log_topic_config *c = &b->config;
	bool never_fits = (c->cap_records > 0 && b->columns.count > c->cap_records) ||
					  (c->cap_bytes > 0 && write_body_bytes(b) > (uint64_t)c->cap_bytes);
	return c->discard_old || !never_fits ||
		   err_set(e, ERR_RECORD_TOO_LARGE,
				   "the write is larger than the whole topic may be; split it or raise the cap");
}

static bool check_creation(const topic_write *w, err *e)
{
	const write_body *b = &w->body;
	if ((b->has_create && !b->create) || (!b->has_create && !b->config.auto_create)) {
		return api_set_topic_not_found(e, w->topic_name);
	}
	if (!api_topic_name_is_valid(w->topic_name)) {
		return api_set_topic_name_invalid(e);
	}
	if (b->has_config && !auth_principal_allows(w->principal, AUTH_SCOPE_ADMIN)) {
		return err_set(e, ERR_FORBIDDEN,
					   "creating a topic with a config needs a key with the scope admin; leave config out, or let the "
					   "topic be created first");
	}
	return topic_config_check(&b->config, w->topic_name, e) && check_caps(b, e);
}

static bool make_topic(topic_write *w, log_conn *conn, err *e)
{
	if (!check_creation(w, e) || !log_quota_check(w->api->log, conn, (int64_t)write_body_bytes(&w->body), e)) {
		return false;
	}
	log_topic_spec spec = {
		.tenant_id = w->principal->tenant_id,
		.name = w->topic_name,
		.origin = LOG_TOPICS,
		.partitions = 1,
		.replication_factor = 1,
		.config = w->body.config,
	};
	return log_topic_create(w->api->log, conn, &spec, &w->topic, &w->created, e);
}

/* ---- the append ---- */

/* A cached topic that is no more: the database knows whether there is another of its name. */
static bool try_again(topic_write *w, const err *e)
{
	if (e->code != ERR_TOPIC_NOT_FOUND || w->is_fresh) {
		return false;
	}
	log_topic_forget(w->api->log, w->topic);
	log_topic_unref(w->topic);
	w->topic = NULL;
	look_up(w);
	return true;
}

/* Says which topic, or how long to wait, where the log does not. */
static void fail_append(topic_write *w, err *e)
{
	if (e->code == ERR_TOPIC_NOT_FOUND) {
		api_set_topic_not_found(e, w->topic_name);
	} else if (e->code == ERR_THROTTLED && e->detail[0] == '\0') {
		err_detail(e, "{\"retry_after_ms\":%u}", e->retry_after_ms > 0 ? e->retry_after_ms : 1000);
	}
	fail(w, e);
}

static void finish(log_append *append)
{
	topic_write *w = append->context;
	w->committed_us = clock_now_us();
	if (append->error.code == ERR_NONE) {
		end(w);
	} else if (!try_again(w, &append->error)) {
		fail_append(w, &append->error);
	}
}

static void submit(topic_write *w)
{
	err e;
	w->submitted_us = clock_now_us();
	if (!log_append_submit(w->api->log, &w->append, &e) && !is_patient(w, &e)) {
		fail_append(w, &e);
	}
}

static void append(topic_write *w)
{
	w->append = (log_append){
		.topic = w->topic,
		.columns = w->body.columns,
		.idempotency_key = w->body.idempotency_key,
		.arena = w->arena,
		.done = finish,
		.context = w,
	};
	w->waits_for_disk = w->topic->config.durability == LOG_FSYNC;
	submit(w);
}

/* ---- finding ---- */

static void look_up_job(void *context, log_conn *conn)
{
	topic_write *w = context;
	err e;
	str name = w->topic_name;
	w->is_fresh = true;
	if (!api_topic_name_can_exist(name)) {
		api_set_topic_not_found(&e, name);
	} else if (log_topic_find(w->api->log, conn, w->principal->tenant_id, name, &w->topic, &e)) {
		append(w);
		return;
	}
	if (e.code == ERR_TOPIC_NOT_FOUND && make_topic(w, conn, &e)) {
		append(w);
	} else {
		fail(w, &e);
	}
}

static void refuse_job(void *context, const err *e)
{
	fail(context, e);
}

static void look_up(topic_write *w)
{
	err e;
	if (!log_engine_submit(w->api->log, (log_job){look_up_job, refuse_job, w}, &e) && !is_patient(w, &e)) {
		fail(w, &e);
	}
}

void topic_write_start(topic_write *w)
{
	err e;
	err_clear(&w->error);
	w->created = false;
	w->is_fresh = false;
	w->patient_until_ms = 0;
	w->topic = NULL;
	if (!allowance_append(w->api, w->principal, &w->body.columns, &e)) {
		fail(w, &e);
		return;
	}
	w->topic = log_topic_cached(w->api->log, w->principal->tenant_id, w->topic_name);
	if (w->topic != NULL) {
		append(w);
	} else {
		look_up(w);
	}
}

/* ---- the answer ---- */

static void write_performance(buf *out, const topic_write *w)
{
	int64_t now_us = clock_now_us();
	int64_t append_us = w->committed_us - w->submitted_us;
	buf_append_str(out, STR("\"performance\":{\"server_total_ms\":"));
	wire_write_ms(out, now_us - w->started_us);
	buf_append_str(out, STR(",\"wal_append_ms\":"));
	wire_write_ms(out, append_us);
	buf_append_str(out, STR(",\"fsync_ms\":"));
	wire_write_ms(out, w->waits_for_disk ? append_us : 0);
	buf_append_byte(out, '}');
}

void topic_write_members(buf *out, const topic_write *w, bool return_seqs)
{
	const log_append *a = &w->append;
	int64_t first = a->result_count > 0 ? a->results[0].base_offset + 1 : 0;
	int64_t count = a->result_count > 0 ? a->results[0].count : 0;
	buf_reserve(out, 512 + w->topic_name.len + (return_seqs ? (size_t)count * SEQ_BYTES : 0));
	buf_append_str(out, STR("\"topic\":"));
	jwrite_string(out, w->topic_name);
	buf_append_str(out, STR(",\"first_seq\":"));
	buf_append_i64(out, first);
	buf_append_str(out, STR(",\"last_seq\":"));
	buf_append_i64(out, first + count - 1);
	if (return_seqs) {
		buf_append_str(out, STR(",\"seqs\":["));
		for (int64_t i = 0; i < count; i++) {
			if (i > 0) {
				buf_append_byte(out, ',');
			}
			buf_append_i64(out, first + i);
		}
		buf_append_byte(out, ']');
	}
	buf_append_str(out, STR(",\"head_seq\":"));
	buf_append_i64(out, first + count - 1);
	buf_append_str(out, STR(",\"count\":"));
	buf_append_i64(out, count);
	buf_append_str(out, STR(",\"created\":"));
	jwrite_bool(out, w->created);
	buf_append_str(out, STR(",\"deduped\":"));
	jwrite_bool(out, a->is_duplicate);
	buf_append_byte(out, ',');
	write_performance(out, w);
}

write_limits topic_write_limits(const config *c)
{
	return (write_limits){
		.records = (uint32_t)c->topics_max_batch_records,
		.record_bytes = (uint64_t)c->topics_max_record_bytes,
		.meta_bytes = (uint64_t)c->topics_max_meta_bytes,
		.tag_bytes = (uint64_t)c->topics_max_tag_bytes,
		.node_bytes = (uint64_t)c->topics_max_node_bytes,
	};
}
