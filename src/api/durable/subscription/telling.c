#include "api/durable/subscription/telling.h"

#include "api/durable/subscription/courier.h"
#include "api/durable/subscription/object.h"
#include "api/durable/subscription/wake.h"
#include "api/durable/subscription/webhook_url.h"
#include "auth/token.h"
#include "base/id.h"
#include "base/jscan.h"
#include "base/jwrite.h"
#include "base/text.h"
#include "log/append.h"
#include "sql/subscription.h"

#include <inttypes.h>

enum { TELLING_ARENA_BYTES = 8 << 20, BODY_MAX = 4 << 20, SIGNATURE_MAX = 512, ANSWER_DEPTH = 32 };

typedef enum outcome {
	OUTCOME_DONE,     /* and processed */
	OUTCOME_TOLD,     /* the worker calls back, or claims */
	OUTCOME_FAILED,   /* to be tried again, later each time */
	OUTCOME_NOT_NOW,  /* to be tried again soon; it is nobody's fault */
	OUTCOME_HOPELESS, /* trying again would not help */
} outcome;

struct telling {
	clerk *clerk;
	arena *arena; /* holds this struct and all its texts */
	subscription subscription;
	int64_t tell_until_ms; /* as we wrote it: who finds another value is late */
	outcome outcome;
	courier_letter letter;
	log_append append;
	str event;
};

const str SUBSCRIPTION_TOKEN_PURPOSE = {"subscription", 12};

static bool out_of_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory");
}

int64_t telling_retry_ms(int32_t failures, uint64_t random_bits)
{
	int64_t delay_ms = TELLING_RETRY_MS_MIN;
	for (int32_t i = 1; i < failures && delay_ms < TELLING_RETRY_MS_MAX; i++) {
		delay_ms *= 2;
	}
	if (delay_ms > TELLING_RETRY_MS_MAX) {
		delay_ms = TELLING_RETRY_MS_MAX;
	}
	return delay_ms * (int64_t)(800 + random_bits % 401) / 1000;
}

bool subscription_mint_token(auth_signing *signing, const subscription *s, buf *out, err *e)
{
	/* A live lease keeps its token good beyond this; see access.c. */
	const auth_token token = {.tenant_id = s->tenant_id,
							  .subject_id = s->id,
							  .generation = s->generation,
							  .expires_ms = s->now_ms + s->lease_ttl_ms + SUBSCRIPTION_TOKEN_GRACE_MS};
	return auth_token_mint(signing, SUBSCRIPTION_TOKEN_PURPOSE, &token, out, e);
}

/* ---- what is told ---- */

static bool write_notification(telling *t, const subscription_link *links, size_t count, buf *out, err *e)
{
	const subscription *s = &t->subscription;
	buf url;
	buf_init(&url, BODY_MAX);
	subscription_write_callback_url(&url, s);
	buf_append_str(out, STR("{\"subscription_id\":"));
	jwrite_string(out, s->name);
	buf_append_str(out, STR(",\"wake_id\":"));
	jwrite_string(out, s->wake_id);
	buf_printf(out, ",\"generation\":%" PRId64 ",\"streams\":", s->generation);
	subscription_write_streams(out, links, count);
	buf_append_str(out, STR(",\"callback_url\":"));
	jwrite_string(out, buf_str(&url));
	buf_append_str(out, STR(",\"callback_token\":\""));
	bool ok = subscription_mint_token(clerk_signing(t->clerk), s, out, e);
	buf_append_str(out, STR("\"}"));
	ok = ok && ((!url.failed && !out->failed) || out_of_memory(e));
	buf_dispose(&url);
	return ok;
}

/* Webhook-Signature over "<seconds>.<body>". */
static bool sign(telling *t, str text, const char **header, err *e)
{
	unsigned char signature[AUTH_SIGNATURE_BYTES];
	int64_t seconds = t->subscription.now_ms / 1000;
	buf id;
	buf bytes;
	buf line;
	buf_init(&id, AUTH_SIGNING_ID_MAX);
	buf_init(&bytes, BODY_MAX + 64);
	buf_init(&line, SIGNATURE_MAX);
	buf_printf(&bytes, "%" PRId64 ".", seconds);
	buf_append_str(&bytes, text);
	bool ok = bytes.failed ? out_of_memory(e)
						   : auth_signing_sign(clerk_signing(t->clerk), buf_str(&bytes), &id, signature, e);
	if (ok) {
		buf_printf(&line, "Webhook-Signature: t=%" PRId64 ",kid=%.*s,ed25519=", seconds, STR_ARG(buf_str(&id)));
		text_base64url_encode(&line, (str){(const char *)signature, sizeof signature});
		*header = line.failed ? NULL : arena_copy_c(t->arena, buf_str(&line));
		ok = *header != NULL || out_of_memory(e);
	}
	buf_dispose(&id);
	buf_dispose(&bytes);
	buf_dispose(&line);
	return ok;
}

static bool prepare_webhook(telling *t, const subscription_link *links, size_t count, err *e)
{
	buf text;
	buf_init(&text, BODY_MAX);
	bool ok = write_notification(t, links, count, &text, e) &&
			  (arena_copy_str(t->arena, buf_str(&text), &t->letter.body) || out_of_memory(e)) &&
			  sign(t, t->letter.body, &t->letter.headers[0], e);
	buf_dispose(&text);
	if (ok) {
		t->letter.url = arena_copy_c(t->arena, t->subscription.webhook_url);
		ok = t->letter.url != NULL || out_of_memory(e);
	}
	return ok;
}

static bool prepare_event(telling *t, const subscription_link *links, size_t count, err *e)
{
	const subscription *s = &t->subscription;
	buf text;
	buf_init(&text, BODY_MAX);
	buf_append_str(&text, STR("{\"type\":\"wake\",\"subscription_id\":"));
	jwrite_string(&text, s->name);
	buf_append_str(&text, STR(",\"stream\":"));
	if (count > 0) {
		jwrite_string(&text, links[0].path);
	} else {
		buf_append_str(&text, STR("null"));
	}
	buf_printf(&text, ",\"generation\":%" PRId64 ",\"ts\":%" PRId64 "}", s->generation, s->now_ms);
	bool ok = (!text.failed && arena_copy_str(t->arena, buf_str(&text), &t->event)) || out_of_memory(e);
	buf_dispose(&text);
	return ok;
}

/* The row's texts belong to the caller. */
static bool copy_texts(telling *t)
{
	subscription *s = &t->subscription;
	arena *a = t->arena;
	return arena_copy_str(a, s->name, &s->name) && arena_copy_str(a, s->wake_id, &s->wake_id) &&
		   arena_copy_str(a, s->base_url, &s->base_url) &&
		   (s->webhook_url.ptr == NULL || arena_copy_str(a, s->webhook_url, &s->webhook_url)) &&
		   (s->wake_stream.ptr == NULL || arena_copy_str(a, s->wake_stream, &s->wake_stream));
}

static telling *telling_new(clerk *c, const subscription *s)
{
	arena *a = arena_new(TELLING_ARENA_BYTES);
	telling *t = a != NULL ? arena_alloc_zero(a, sizeof *t) : NULL;
	if (t == NULL) {
		arena_free(a);
		return NULL;
	}
	t->clerk = c;
	t->arena = a;
	t->subscription = *s;
	if (!copy_texts(t)) {
		arena_free(a);
		return NULL;
	}
	return t;
}

static void dispose(telling *t)
{
	buf_dispose(&t->letter.answer);
	arena_free(t->arena);
}

void telling_drop(telling *t)
{
	if (t == NULL) {
		return;
	}
	if (t->subscription.is_webhook) {
		courier_release(clerk_courier(t->clerk));
	}
	dispose(t);
}

static bool claim_telling(telling *t, log_conn *conn, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, t->subscription.id);
	db_param_i64(&p, clerk_api(t->clerk)->config->webhook_timeout_ms + TELLING_MARGIN_MS);
	if (!db_run(conn, &SQL_SUBSCRIPTION_START_TELLING, &p, &r, e)) {
		return false;
	}
	t->tell_until_ms = db_rows(r) == 1 ? db_i64(r, 0, 0) : 0;
	db_result_free(r);
	return true;
}

bool telling_prepare(clerk *c, log_conn *conn, const subscription *s, telling **out, err *e)
{
	subscription_link *links = NULL;
	size_t count = 0;
	if (s->is_webhook && !courier_reserve(clerk_courier(c))) {
		return true;
	}
	telling *t = telling_new(c, s);
	if (t == NULL) {
		if (s->is_webhook) {
			courier_release(clerk_courier(c));
		}
		return out_of_memory(e);
	}
	bool ok = claim_telling(t, conn, e) &&
			  subscription_links(conn, s->id, s->is_webhook ? SUBSCRIPTION_WAKE_STREAMS_MAX : 1, t->arena, &links,
								 &count, e) &&
			  (s->is_webhook ? prepare_webhook(t, links, count, e) : prepare_event(t, links, count, e));
	if (!ok) {
		telling_drop(t);
		return false;
	}
	*out = t;
	return true;
}

/* ---- how it went ---- */

static bool tell_again(log_conn *conn, subscription *s, int64_t delay_ms, int32_t failures, err *e)
{
	db_params p;
	s->tell_ms = s->now_ms + delay_ms;
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_i64(&p, delay_ms);
	db_param_i32(&p, failures);
	return db_do(conn, &SQL_SUBSCRIPTION_TELL_AGAIN, &p, NULL, e);
}

/* The row is locked, and the wake is still the one that was told of. */
static bool record_outcome(telling *t, log_conn *conn, subscription *s, err *e)
{
	switch (t->outcome) {
	case OUTCOME_DONE:
		return wake_acknowledge_all(conn, s, e) && wake_end(conn, s, e) && wake_begin(conn, s, t->arena, e);
	case OUTCOME_TOLD:
		/* A webhook that took long to take the wake has its whole lease from here. */
		return s->is_webhook ? wake_hold(conn, s, STR_NONE, e)
							 : subscription_do(conn, &SQL_SUBSCRIPTION_TOLD, s->id, NULL, e);
	case OUTCOME_FAILED:
		return tell_again(conn, s, telling_retry_ms(s->failures + 1, id_random_u64()), s->failures + 1, e);
	case OUTCOME_NOT_NOW:
		return tell_again(conn, s, s->is_webhook ? 0 : TELLING_RETRY_MS_MIN, s->failures, e);
	case OUTCOME_HOPELESS:
		return subscription_do(conn, &SQL_SUBSCRIPTION_TOLD, s->id, NULL, e);
	}
	return true;
}

static bool is_current(const telling *t, const subscription *s)
{
	return wake_is_in_flight(s) && s->generation == t->subscription.generation &&
		   str_equal(s->wake_id, t->subscription.wake_id) && s->tell_ms != 0 && s->tell_until_ms == t->tell_until_ms;
}

static void finish_job(void *context, log_conn *conn)
{
	telling *t = context;
	subscription s;
	err e;
	bool ok = db_begin(conn, &e) && subscription_lock(conn, t->subscription.id, t->arena, &s, &e) &&
			  (!is_current(t, &s) || record_outcome(t, conn, &s, &e)) && db_commit(conn, &e);
	if (!ok) {
		db_rollback(conn);
		if (e.code != ERR_SUBSCRIPTION_NOT_FOUND) {
			slog_err(clerk_api(t->clerk)->slog, SLOG_WARN, "subscriptions",
					 "could not write down how a delivery went; it will be repeated", &e);
		}
	} else if (t->outcome == OUTCOME_DONE) {
		clerk_note(t->clerk, s.id);
	} else {
		clerk_note_due(t->clerk, &s);
	}
	dispose(t);
}

/* Its time in the row runs out, and it is told again. */
static void finish_refused(void *context, const err *e)
{
	(void)e;
	dispose(context);
}

static void finish(telling *t, outcome how)
{
	err e;
	t->outcome = how;
	if (!log_engine_submit(clerk_api(t->clerk)->log, (log_job){finish_job, finish_refused, t}, &e)) {
		dispose(t);
	}
}

/* ---- webhooks ---- */

/* {"done":true} */
static bool says_done(str answer)
{
	jscan s;
	str key;
	bool done = false;
	jscan_init(&s, answer, ANSWER_DEPTH);
	if (jscan_peek(&s) != JSCAN_OBJECT || !jscan_begin_object(&s)) {
		return false;
	}
	while (jscan_next_member(&s, &key)) {
		if (str_equal(key, STR("done")) && jscan_peek(&s) == JSCAN_BOOL) {
			jscan_bool(&s, &done);
		} else {
			jscan_skip(&s);
		}
	}
	return jscan_end(&s) && done;
}

static void delivered(courier_letter *letter)
{
	telling *t = (telling *)(void *)((char *)letter - offsetof(telling, letter));
	const subscription *s = &t->subscription;
	if (letter->was_stopped) {
		finish(t, OUTCOME_NOT_NOW);
		return;
	}
	if (letter->status >= 200 && letter->status < 300) {
		finish(t, says_done(buf_str(&letter->answer)) ? OUTCOME_DONE : OUTCOME_TOLD);
		return;
	}
	SLOG(clerk_api(t->clerk)->slog, SLOG_INFO, "subscriptions", "a webhook did not take its wake; it is tried again",
		 F_STR("subscription", s->name), F_INT("generation", s->generation), F_INT("status", letter->status),
		 F_C("problem", letter->problem), F_INT("failures", s->failures + 1));
	finish(t, OUTCOME_FAILED);
}

static void start_webhook(telling *t)
{
	err e;
	courier *post = clerk_courier(t->clerk);
	t->letter.done = delivered;
	/* The rules may be stricter now than when it was created. */
	if (!webhook_url_judge(t->subscription.webhook_url, clerk_api(t->clerk)->config->webhook_allow_localhost, &e)) {
		slog_err(clerk_api(t->clerk)->slog, SLOG_WARN, "subscriptions", "a webhook's URL is not allowed", &e);
		courier_release(post);
		finish(t, OUTCOME_FAILED);
		return;
	}
	courier_send(post, &t->letter);
}

/* ---- wake events ---- */

static outcome judge_append(const telling *t, const err *e)
{
	if (e->code == ERR_NONE) {
		return OUTCOME_TOLD;
	}
	if (e->code == ERR_UNAVAILABLE || e->code == ERR_OUTCOME_UNKNOWN || e->code == ERR_THROTTLED ||
		e->code == ERR_TIMEOUT || e->code == ERR_NO_MEMORY || e->code == ERR_SHUTTING_DOWN) {
		return OUTCOME_NOT_NOW;
	}
	SLOG(clerk_api(t->clerk)->slog, SLOG_WARN, "subscriptions",
		 "no wake event could be appended; the subscription can be claimed all the same",
		 F_STR("subscription", t->subscription.name), F_STR("wake_stream", t->subscription.wake_stream),
		 F_C("code", err_wire_code(e->code)));
	return OUTCOME_HOPELESS;
}

static void appended(log_append *op)
{
	telling *t = op->context;
	outcome how = judge_append(t, &op->error);
	log_topic_unref(op->topic);
	finish(t, how);
}

static void start_event(telling *t, log_conn *conn)
{
	const subscription *s = &t->subscription;
	const log_topic *topic = NULL;
	log_engine *log = clerk_api(t->clerk)->log;
	err e;
	if (!log_topic_find(log, conn, s->tenant_id, s->wake_stream, &topic, &e)) {
		finish(t, judge_append(t, &e));
		return;
	}
	t->append = (log_append){.topic = topic,
							 .columns = {.count = 1, .values = &t->event},
							 .arena = t->arena,
							 .done = appended,
							 .context = t};
	if (!log_append_submit(log, &t->append, &e)) {
		log_topic_unref(topic);
		finish(t, judge_append(t, &e));
	}
}

void telling_start(telling *t, log_conn *conn)
{
	if (t->subscription.is_webhook) {
		start_webhook(t);
	} else {
		start_event(t, conn);
	}
}
