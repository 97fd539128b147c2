/* The producer's thread: takes batches from the queues, sends them, tries again, and tells what became of them. */
#include "clock.h"
#include "compress.h"
#include "error.h"
#include "packet.h"
#include "producer_impl.h"
#include "retry.h"
#include "topic.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	NETWORK_MS = 10000,         /* what a try may take besides the server's own time */
	COUNT_PARTITIONS_MS = 5000, /* how often a producer in use looks whether there are more */
};

typedef struct sender {
	tg_producer *p;
	call count_call; /* the description of the topic, for its partitions */
	bool is_counting;
	int64_t count_at_ms;
	char known[CALL_ETAG_BYTES_MAX + 32]; /* "If-None-Match: " and the tag of the last description, "" = none yet */
} sender;

/* ---- what became of a batch ---- */

static void report(tg_producer *p, const batch *b, int64_t base_offset, const tg_error *error)
{
	if (p->config.callback == NULL) {
		return;
	}
	const tg_batch_report r = {
		.partition = b->partition,
		.base_offset = base_offset,
		.records = b->records,
		.bytes = b->bytes,
		.created_ms = b->created_ms,
		.elapsed_ms = tgi_clock_now_ms() - b->opened_at_ms,
		.error = error,
	};
	p->config.callback(p->config.callback_context, &r);
}

/* Tells the outputs and the callback of a chain of batches. */
static void tell_chain(tg_producer *p, batch *chain, int64_t base_offset, const tg_error *error)
{
	for (batch *b = chain; b != NULL; b = b->next) {
		tgi_batch_finish(b, base_offset, error);
		report(p, b, base_offset, error);
	}
}

static void release_chain(batch *chain)
{
	while (chain != NULL) {
		batch *next = chain->next;
		tgi_batch_unref(chain);
		chain = next;
	}
}

/* A batch flies until its outputs know, so that tg_flush() does not return before; and it is released last, since
 * tg_flush() looks at what flies. */
static void stored(tg_producer *p, lane *l, int64_t base_offset)
{
	batch *b = l->flying;
	b->next = NULL;
	tell_chain(p, b, base_offset, NULL);
	pthread_mutex_lock(&p->lock);
	l->flying = NULL;
	l->sequence++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	release_chain(b);
}

/* The partition stops here. Whether the batch is stored may be unknown, so its sequence cannot be gone on with: what
 * is sent after tg_clear_errors() counts anew in the next epoch. */
static void failed(tg_producer *p, lane *l, const tg_error *error)
{
	pthread_mutex_lock(&p->lock);
	l->has_failed = true;
	l->failure = *error;
	tgi_producer_close_batch(l);
	batch *chain = l->flying;
	chain->next = l->first;
	l->first = NULL;
	l->last = NULL;
	l->queued = 0;
	l->epoch++;
	l->sequence = 0;
	pthread_mutex_unlock(&p->lock);
	tell_chain(p, chain, -1, error);
	pthread_mutex_lock(&p->lock);
	l->flying = NULL;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	release_chain(chain);
}

/* ---- sending ---- */

static tg_status prepare(tg_producer *p, lane *l, tg_error *error)
{
	const batch *b = l->flying;
	char id[PRODUCER_ID_BYTES + 48];
	char epoch[48];
	char sequence[48];
	bool is_idempotent = p->config.idempotence && p->config.delivery == TG_AT_LEAST_ONCE;
	const char *headers[] = {"Prefer: return=minimal", is_idempotent ? id : NULL, epoch, sequence, NULL};
	const buffer *body = &b->packets;
	tg_status status;
	snprintf(id, sizeof id, "Producer-Id: %s-%u", p->id, l->partition);
	snprintf(epoch, sizeof epoch, "Producer-Epoch: %lld", (long long)l->epoch);
	snprintf(sequence, sizeof sequence, "Producer-Seq: %lld", (long long)l->sequence);
	if (p->config.compression != TG_COMPRESSION_NONE) {
		if (l->retries == 0) {
			tgi_buffer_clear(&l->packed);
			status = tgi_compress_bytes(p->config.compression, b->packets.ptr, b->packets.len, &l->packed, error);
			if (status != TG_OK) {
				return status;
			}
		}
		body = &l->packed;
	}
	const call_request request = {
		.method = "POST",
		.path = p->path,
		.content_type = PACKET_MEDIA_TYPE,
		.content_encoding =
			p->config.compression != TG_COMPRESSION_NONE ? tgi_compress_name(p->config.compression) : NULL,
		.headers = headers,
		.body = body->ptr,
		.body_len = body->len,
		.timeout_ms = p->config.timeout_ms + NETWORK_MS,
	};
	return tgi_call_prepare(&l->call, p->client, &request, error);
}

static void start(tg_producer *p, lane *l)
{
	tg_error error;
	if (prepare(p, l, &error) != TG_OK) {
		failed(p, l, &error);
	} else if (curl_multi_add_handle(p->multi, l->call.easy) != CURLM_OK) {
		tgi_error_no_memory(&error);
		failed(p, l, &error);
	} else {
		l->is_under_way = true;
	}
}

/* The offset of the batch's first record; the others follow it. */
static tg_status read_base_offset(const lane *l, int64_t *out, tg_error *error)
{
	json_t *body = tgi_call_json(&l->call, error);
	if (body == NULL) {
		return TG_ERR_PROTOCOL;
	}
	const json_t *partitions = json_object_get(body, "partitions");
	const json_t *only = json_array_get(partitions, 0);
	int64_t first = tgi_topic_integer(only, "offset", -1);
	bool is_ours = json_array_size(partitions) == 1 && first >= 0 &&
				   tgi_topic_integer(only, "partition", -1) == l->partition &&
				   tgi_topic_integer(only, "count", -1) == l->flying->records;
	json_decref(body);
	if (!is_ours) {
		return tgi_error_set(error, TG_ERR_PROTOCOL, "the server stored the batch, but its answer lacks the offsets");
	}
	*out = first;
	return TG_OK;
}

/* True: the batch will be tried again. */
static bool try_later(const tg_producer *p, lane *l, tg_error *error)
{
	const tg_retry_policy *policy = &p->config.retry;
	int64_t now_ms = tgi_clock_now_ms();
	if (p->config.delivery == TG_AT_MOST_ONCE || !error->retryable) {
		return false;
	}
	int64_t delay_ms = tgi_retry_delay_ms(policy, l->retries);
	delay_ms = delay_ms > l->call.retry_after_ms ? delay_ms : l->call.retry_after_ms;
	if (l->retries < policy->max_retries && now_ms + delay_ms <= l->first_try_at_ms + policy->total_timeout_ms) {
		l->retries++;
		l->retry_at_ms = now_ms + delay_ms;
		return true;
	}
	tg_error cause = *error;
	tgi_error_set(error, TG_ERR_RETRIES_EXHAUSTED, "given up after %u tries: %.400s", l->retries + 1, cause.message);
	error->http = cause.http;
	error->retryable = true;
	return false;
}

static void answered(tg_producer *p, lane *l, CURLcode result)
{
	tg_error error;
	int64_t base_offset = -1;
	curl_multi_remove_handle(p->multi, l->call.easy);
	l->is_under_way = false;
	tg_status status = tgi_call_judge(&l->call, result, &error);
	if (status == TG_OK) {
		status = read_base_offset(l, &base_offset, &error);
	}
	if (status == TG_OK) {
		stored(p, l, base_offset);
	} else if (!try_later(p, l, &error)) {
		failed(p, l, &error);
	}
}

/* ---- how many partitions there are ---- */

static void start_counting(sender *s)
{
	tg_producer *p = s->p;
	const char *headers[] = {s->known[0] != '\0' ? s->known : NULL, NULL};
	const call_request request = {
		.method = "GET",
		.path = p->description_path,
		.headers = headers,
		.timeout_ms = p->client->config.request_timeout_ms,
	};
	tg_error ignored; /* counting again later is all there is to do */
	s->is_counting = tgi_call_prepare(&s->count_call, p->client, &request, &ignored) == TG_OK &&
					 curl_multi_add_handle(p->multi, s->count_call.easy) == CURLM_OK;
}

static void counted(sender *s, CURLcode result)
{
	tg_producer *p = s->p;
	tg_error ignored;
	curl_multi_remove_handle(p->multi, s->count_call.easy);
	s->is_counting = false;
	if (tgi_call_judge(&s->count_call, result, &ignored) != TG_OK) {
		return; /* not modified, or no answer now */
	}
	if (s->count_call.etag[0] != '\0') {
		snprintf(s->known, sizeof s->known, "If-None-Match: %s", s->count_call.etag);
	}
	json_t *description = tgi_call_json(&s->count_call, &ignored);
	uint32_t count = tgi_topic_partition_count(description);
	json_decref(description);
	pthread_mutex_lock(&p->lock);
	if (count > p->lane_count) {
		tgi_producer_add_lanes(p, count);
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- the loop ---- */

/* Under the lock. The lane's batch that may go now, taken from its queue; otherwise *wake_at_ms is lowered to when one
 * may. */
static bool take_due(const tg_producer *p, lane *l, int64_t now_ms, int64_t *wake_at_ms)
{
	int64_t due_ms;
	if (l->is_under_way) {
		return false;
	}
	if (l->flying != NULL) {
		due_ms = l->retry_at_ms;
	} else if (l->first != NULL) {
		due_ms = now_ms;
	} else if (l->open != NULL) {
		due_ms = l->open->opened_at_ms + p->config.linger_ms;
	} else {
		return false;
	}
	if (due_ms > now_ms) {
		*wake_at_ms = due_ms < *wake_at_ms ? due_ms : *wake_at_ms;
		return false;
	}
	if (l->flying == NULL) {
		if (l->first == NULL) {
			tgi_producer_close_batch(l);
		}
		l->flying = l->first;
		l->first = l->flying->next;
		l->last = l->first == NULL ? NULL : l->last;
		l->queued--;
		l->retries = 0;
		l->first_try_at_ms = now_ms;
	}
	return true;
}

/* Starts all that is due. False: the producer stops. */
static bool start_due(sender *s, int64_t *wake_at_ms)
{
	tg_producer *p = s->p;
	int64_t now_ms = tgi_clock_now_ms();
	bool is_room = false;
	pthread_mutex_lock(&p->lock);
	bool is_stopping = p->is_stopping;
	/* The list of lanes may grow only on this thread, so it can be walked with the lock given back in between. */
	for (uint32_t i = 0; i < p->lane_count && !is_stopping; i++) {
		lane *l = p->lanes[i];
		if (take_due(p, l, now_ms, wake_at_ms)) {
			pthread_mutex_unlock(&p->lock);
			start(p, l);
			pthread_mutex_lock(&p->lock);
			is_room = true;
		}
	}
	if (is_room) {
		pthread_cond_broadcast(&p->changed);
	}
	bool is_count_due = p->was_used && !s->is_counting && now_ms >= s->count_at_ms;
	if (is_count_due) {
		p->was_used = false;
	}
	pthread_mutex_unlock(&p->lock);
	if (is_count_due && !is_stopping) {
		s->count_at_ms = now_ms + COUNT_PARTITIONS_MS;
		start_counting(s);
	}
	return !is_stopping;
}

static lane *lane_of(tg_producer *p, const CURL *easy)
{
	for (uint32_t i = 0; i < p->lane_count; i++) {
		if (p->lanes[i]->call.easy == easy) {
			return p->lanes[i];
		}
	}
	return NULL;
}

/* True: something ended, so that something else may be due. */
static bool take_answers(sender *s)
{
	tg_producer *p = s->p;
	bool is_any = false;
	int left;
	for (const CURLMsg *m; (m = curl_multi_info_read(p->multi, &left)) != NULL;) {
		if (m->msg != CURLMSG_DONE) {
			continue;
		}
		is_any = true;
		CURLcode result = m->data.result;
		lane *l = lane_of(p, m->easy_handle);
		if (l != NULL) {
			answered(p, l, result);
		} else {
			counted(s, result);
		}
	}
	return is_any;
}

void *tgi_sender_run(void *producer)
{
	tg_producer *p = producer;
	sender s = {.p = p, .count_at_ms = tgi_clock_now_ms() + COUNT_PARTITIONS_MS};
	for (;;) {
		int64_t wake_at_ms = CLOCK_NEVER;
		int running;
		if (!start_due(&s, &wake_at_ms)) {
			break;
		}
		curl_multi_perform(p->multi, &running);
		if (take_answers(&s)) {
			continue;
		}
		int wait_ms = tgi_clock_left_ms(wake_at_ms);
		curl_multi_poll(p->multi, NULL, 0, wait_ms < 0 ? COUNT_PARTITIONS_MS : wait_ms, NULL);
	}
	for (uint32_t i = 0; i < p->lane_count; i++) {
		if (p->lanes[i]->is_under_way) {
			curl_multi_remove_handle(p->multi, p->lanes[i]->call.easy);
		}
	}
	if (s.is_counting) {
		curl_multi_remove_handle(p->multi, s.count_call.easy);
	}
	tgi_call_dispose(&s.count_call);
	return NULL;
}
