/*
 * POST …/callback (webhooks), …/ack and …/release (pull-wake): the holder of a wake reports, with the wake's token.
 */
#include "api/body.h"
#include "api/durable/subscription/pattern.h"
#include "api/durable/subscription/subscriptions.h"
#include "api/durable/subscription/telling.h"
#include "api/durable/subscription/wake.h"
#include "auth/token.h"
#include "sql/subscription.h"

typedef enum report_kind { REPORT_CALLBACK, REPORT_ACK, REPORT_RELEASE } report_kind;

typedef struct report {
	api_operation op;
	report_kind kind;
	str name;
	str token;
	bool has_body; /* else `wrong` says what is the matter with it */
	err wrong;
	str wake_id;
	int64_t generation;
	bool done;
	wake_ack *acks;
	size_t ack_count;
	/* when it is over */
	bool next_wake;
} report;

/* ---- the request ---- */

static str bearer_token(const http_exchange *x)
{
	str scheme;
	str rest;
	bool has_rest = str_split(http_request_header(x, STR("Authorization")), ' ', &scheme, &rest);
	return has_rest && str_equal_ignore_case(scheme, STR("Bearer")) ? str_trim(rest) : STR_NONE;
}

static void read_ack(body *b, wake_ack *out)
{
	str key;
	*out = (wake_ack){STR_NONE, STR_NONE};
	if (!body_object(b, "acks")) {
		return;
	}
	while (body_next(b, &key)) {
		if (str_equal(key, STR("stream")) || str_equal(key, STR("path"))) {
			body_text(b, "stream", &out->path);
		} else if (str_equal(key, STR("offset"))) {
			body_text(b, "offset", &out->offset);
		} else {
			body_skip(b);
		}
	}
	if (!b->failed && (out->path.ptr == NULL || out->offset.ptr == NULL)) {
		body_refuse(b, "acks", "objects like {\"stream\":\"events/abc\",\"offset\":\"…\"}");
	}
}

static void read_acks(body *b, report *r)
{
	r->ack_count = 0;
	r->acks = arena_alloc_array(b->arena, WAKE_ACKS_MAX, sizeof *r->acks);
	if (r->acks == NULL) {
		b->failed = true;
		err_set(b->error, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		return;
	}
	if (!body_array(b, "acks")) {
		return;
	}
	while (body_next_element(b)) {
		if (r->ack_count == WAKE_ACKS_MAX) {
			body_refuse(b, "acks", "at most 1000 elements; send several requests");
			return;
		}
		wake_ack *ack = &r->acks[r->ack_count++];
		read_ack(b, ack);
		str path;
		err ignored;
		/* What is no path is no stream of the subscription either. */
		if (!b->failed && subscription_path_read(ack->path, &path, &ignored)) {
			ack->path = path;
		}
	}
}

static void read_member(body *b, str key, report *r)
{
	if (body_null(b)) {
		return;
	}
	if (str_equal(key, STR("wake_id"))) {
		body_text(b, "wake_id", &r->wake_id);
	} else if (str_equal(key, STR("generation"))) {
		body_integer(b, "generation", 0, INT64_MAX, &r->generation);
	} else if (str_equal(key, STR("done"))) {
		body_bool(b, "done", &r->done);
	} else if (str_equal(key, STR("acks"))) {
		read_acks(b, r);
	} else {
		body_skip(b);
	}
}

static bool read_body(report *r, err *e)
{
	body b;
	str key;
	r->generation = -1;
	if (!body_begin_text(&b, http_request_body(r->op.x), http_arena(r->op.x), e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, r);
	}
	if (!body_end(&b)) {
		return false;
	}
	return (r->wake_id.ptr != NULL && r->generation >= 0) ||
		   err_set(e, ERR_INVALID_REQUEST, "wake_id and generation are missing; send those of the wake");
}

/* ---- who reports ---- */

static bool set_token_invalid(err *e)
{
	return err_set(e, ERR_TOKEN_INVALID,
				   "send the token of the wake as Authorization: Bearer; this is none of this subscription's");
}

/* The row is locked. The token of a lease that lives is good, however long ago it was given out. */
static bool check_token(const auth_token *token, const subscription *s, err *e)
{
	bool is_leased = wake_is_in_flight(s) && token->generation == s->generation &&
					 (s->tell_ms != 0 || s->lease_until_ms > s->now_ms);
	if (token->subject_id != s->id) {
		return set_token_invalid(e);
	}
	return is_leased || token->expires_ms > s->now_ms ||
		   err_set(e, ERR_TOKEN_EXPIRED, "the token has expired; the wake's work is handed out again");
}

static bool check_current(const report *r, const auth_token *token, const subscription *s, err *e)
{
	bool is_current = wake_is_in_flight(s) && token->generation == s->generation && r->generation == s->generation &&
					  str_equal(r->wake_id, s->wake_id);
	return is_current || err_set(e, ERR_FENCED, "this wake is over; stop working on it and wait for the next one");
}

static bool check_kind(const report *r, const subscription *s, err *e)
{
	if (s->is_webhook == (r->kind == REPORT_CALLBACK)) {
		return true;
	}
	return s->is_webhook ? err_set(e, ERR_INVALID_REQUEST, "this subscription has a webhook; report to …/callback")
						 : err_set(e, ERR_INVALID_REQUEST, "this is a pull-wake subscription; report to …/ack");
}

/* ---- what changes ---- */

static bool finish_wake(report *r, log_conn *conn, subscription *s, err *e)
{
	if (!wake_end(conn, s, e) || !wake_begin(conn, s, http_arena(r->op.x), e)) {
		return false;
	}
	r->next_wake = wake_is_in_flight(s);
	return true;
}

static bool apply(report *r, log_conn *conn, const auth_token *token, subscription *s, err *e)
{
	arena *a = http_arena(r->op.x);
	if (!subscription_lock_name(conn, token->tenant_id, r->name, a, s, e) || !check_token(token, s, e)) {
		return false;
	}
	if (!r->has_body) {
		*e = r->wrong;
		return false;
	}
	if (!check_kind(r, s, e) || !wake_settle(conn, s, e) || !check_current(r, token, s, e)) {
		return false;
	}
	if (r->kind == REPORT_RELEASE) {
		return finish_wake(r, conn, s, e);
	}
	return wake_acknowledge(conn, s, r->acks, r->ack_count, a, e) &&
		   (r->done ? finish_wake(r, conn, s, e) : wake_extend(conn, s, e));
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	report *r = (report *)op;
	clerk *c = api_of(op->x)->clerk;
	auth_token token;
	subscription s;
	if (!auth_signing_ready_for(clerk_signing(c), conn, auth_token_key_id(r->token), e)) {
		return false;
	}
	if (!auth_token_read(clerk_signing(c), SUBSCRIPTION_TOKEN_PURPOSE, r->token, &token)) {
		return set_token_invalid(e);
	}
	if (!db_begin(conn, e) || !apply(r, conn, &token, &s, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		return false;
	}
	if (r->next_wake) {
		clerk_note(c, s.id);
	}
	clerk_note_due(c, &s);
	if (r->kind == REPORT_RELEASE) {
		op->status = 204;
	} else {
		buf_append_str(http_reply_body(op->x), r->next_wake ? STR("{\"ok\":true,\"next_wake\":true}")
															: STR("{\"ok\":true,\"next_wake\":false}"));
	}
	return true;
}

static void start(http_exchange *x, report_kind kind)
{
	err e;
	report *r = api_operation_new(x, sizeof *r, run);
	if (r == NULL) {
		return;
	}
	r->kind = kind;
	r->token = bearer_token(x);
	if (!subscription_take_name(x, &r->name, &e)) {
		api_fail(&r->op, &e);
		return;
	}
	r->has_body = read_body(r, &r->wrong);
	api_run(&r->op);
}

void subscription_callback(http_exchange *x)
{
	start(x, REPORT_CALLBACK);
}

void subscription_ack(http_exchange *x)
{
	start(x, REPORT_ACK);
}

void subscription_release(http_exchange *x)
{
	start(x, REPORT_RELEASE);
}
