#include "producer_impl.h"

#include "clock.h"
#include "error.h"
#include "output.h"
#include "topic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- opening ---- */

static tg_status check_config(const tg_producer_config *c, tg_error *error)
{
	if (c->batch_size == 0 || c->batch_queue_size == 0) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "batch_size and batch_queue_size must be at least 1");
	}
	if (c->batch_size > c->max_request_size) {
		return tgi_error_set(
			error, TG_ERR_INVALID_ARGUMENT,
			"batch_size is %zu bytes, more than max_request_size with %zu; lower the one or raise the other",
			c->batch_size, c->max_request_size);
	}
	if (c->linger_ms < 0 || c->timeout_ms < 0) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "linger and timeout must not be negative");
	}
	if (!tg_compression_supported(c->compression)) {
		return tgi_error_set(
			error, TG_ERR_COMPRESSION,
			"this build of libtidegate does not have the compression; tg_compression_supported() tells");
	}
	return TG_OK;
}

bool tgi_producer_add_lanes(tg_producer *p, uint32_t count)
{
	lane **grown = realloc(p->lanes, count * sizeof(lane *));
	if (grown == NULL) {
		return false;
	}
	p->lanes = grown;
	for (; p->lane_count < count; p->lane_count++) {
		lane *l = calloc(1, sizeof *l);
		if (l == NULL) {
			return false;
		}
		l->partition = p->lane_count;
		p->lanes[p->lane_count] = l;
	}
	return true;
}

static bool make_id(char *id)
{
	unsigned char random[PRODUCER_ID_BYTES / 2];
	size_t got = 0;
	while (got < sizeof random) {
		ssize_t more = getrandom(random + got, sizeof random - got, 0);
		if (more < 0 && errno != EINTR) {
			return false;
		}
		got += more > 0 ? (size_t)more : 0;
	}
	for (size_t i = 0; i < sizeof random; i++) {
		id[2 * i] = "0123456789abcdef"[random[i] >> 4];
		id[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
	}
	id[PRODUCER_ID_BYTES] = '\0';
	return true;
}

/* All but the thread. */
static void free_producer(tg_producer *p)
{
	for (uint32_t i = 0; i < p->lane_count; i++) {
		tgi_call_dispose(&p->lanes[i]->call);
		tgi_buffer_dispose(&p->lanes[i]->packed);
		free(p->lanes[i]);
	}
	free(p->lanes);
	if (p->multi != NULL) {
		curl_multi_cleanup(p->multi);
	}
	free(p->path);
	free(p->description_path);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	tg_client_close(p->client);
	free(p);
}

/* Signals are for the program's own threads. */
static bool start_thread(tg_producer *p)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&p->thread, NULL, tgi_sender_run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed == 0;
}

static tg_producer *new_producer(tg_client *client, const char *topic, const tg_producer_config *config)
{
	tg_producer *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return NULL;
	}
	if (pthread_mutex_init(&p->lock, NULL) != 0) {
		free(p);
		return NULL;
	}
	if (!tgi_clock_condition_init(&p->changed)) {
		pthread_mutex_destroy(&p->lock);
		free(p);
		return NULL;
	}
	tgi_client_ref(client);
	p->client = client;
	p->config = *config;
	p->path = tgi_topic_path(topic, "/produce");
	p->description_path = tgi_topic_path(topic, "");
	p->multi = curl_multi_init();
	if (p->path == NULL || p->description_path == NULL || p->multi == NULL || !make_id(p->id)) {
		free_producer(p);
		return NULL;
	}
	return p;
}

tg_status tg_producer_open(tg_client *client, const char *topic, const tg_producer_config *config, tg_producer **out,
						   tg_error *error)
{
	json_t *description = NULL;
	tg_producer *p = NULL;
	tg_producer_config *defaults = config == NULL ? tg_producer_config_new() : NULL;
	if (config == NULL && defaults == NULL) {
		return tgi_error_no_memory(error);
	}
	config = config == NULL ? defaults : config;
	tg_status status = check_config(config, error);
	if (status != TG_OK || (status = tgi_topic_fetch(client, topic, &description, error)) != TG_OK) {
		goto out;
	}
	uint32_t partitions = tgi_topic_partition_count(description);
	if (config->partition >= 0 && (uint32_t)config->partition >= partitions) {
		status = tgi_error_set(error, TG_ERR_PARTITION_NOT_FOUND, "there is no partition %d; the topic has 0 to %u",
							   config->partition, partitions - 1);
		goto out;
	}
	p = new_producer(client, topic, config);
	if (p == NULL || !tgi_producer_add_lanes(p, partitions) || !start_thread(p)) {
		status = tgi_error_no_memory(error);
		goto out;
	}
	*out = p;
	p = NULL;
out:
	if (p != NULL) {
		free_producer(p);
	}
	json_decref(description);
	tg_producer_config_free(defaults);
	return status;
}

/* ---- sending ---- */

void tgi_producer_close_batch(lane *l)
{
	if (l->open == NULL) {
		return;
	}
	if (l->last != NULL) {
		l->last->next = l->open;
	} else {
		l->first = l->open;
	}
	l->last = l->open;
	l->open = NULL;
	l->queued++;
}

/* False: the partitioner or the message asks for one that is not there. */
static bool choose_partition(tg_producer *p, const tg_message *m, uint32_t *out)
{
	const tg_producer_config *c = &p->config;
	if (m->partition >= 0 || c->partition >= 0) {
		*out = (uint32_t)(m->partition >= 0 ? m->partition : c->partition);
	} else if (c->partitioner != NULL) {
		*out = c->partitioner(c->partitioner_context, m->key, m->key_len, m->value, m->value_len, p->lane_count);
	} else if (m->key != NULL) {
		*out = tg_partition_for_key(m->key, m->key_len, p->lane_count);
	} else {
		*out = p->keyless++ % p->lane_count;
	}
	return *out < p->lane_count;
}

static bool fits(const tg_producer *p, const batch *b, const tg_message *m)
{
	return b->records < BATCH_RECORDS_MAX && b->bytes + tgi_batch_record_bytes(b, m) <= p->config.batch_size;
}

/* An open batch with room for the message, which may mean to wait for room in the queue. */
static tg_status find_room(tg_producer *p, lane *l, const tg_message *m, tg_error *error)
{
	int64_t deadline_ms = 0;
	for (;;) {
		if (p->is_stopping) {
			return tgi_error_set(error, TG_ERR_CLOSED, "the producer is being closed");
		}
		if (l->has_failed) {
			return tgi_error_copy(error, &l->failure);
		}
		if (l->open != NULL && fits(p, l->open, m)) {
			return TG_OK;
		}
		if (l->queued < p->config.batch_queue_size) {
			break;
		}
		deadline_ms = deadline_ms == 0 ? tgi_clock_deadline_ms(p->config.queue_timeout_ms) : deadline_ms;
		if (!tgi_clock_condition_wait(&p->changed, &p->lock, deadline_ms)) {
			tgi_error_set(
				error, TG_ERR_QUEUE_FULL,
				"%zu batches of partition %u wait to be sent; send slower, raise batch_queue_size or the queue "
				"timeout",
				l->queued, l->partition);
			if (error != NULL) {
				error->retryable = true;
			}
			return TG_ERR_QUEUE_FULL;
		}
	}
	tgi_producer_close_batch(l);
	l->open = tgi_batch_new((int32_t)l->partition, m->timestamp_ms, tgi_clock_now_ms());
	if (l->open == NULL) {
		return tgi_error_no_memory(error);
	}
	l->open->id = p->next_batch_id++;
	return TG_OK;
}

static tg_status add(tg_producer *p, lane *l, const tg_message *m, tg_output **out, tg_error *error)
{
	tg_output *output = NULL;
	tg_status status = find_room(p, l, m, error);
	if (status != TG_OK) {
		return status;
	}
	batch *b = l->open;
	if ((out != NULL && (output = tgi_output_new(b)) == NULL) || !tgi_batch_add(b, m)) {
		tg_output_free(output);
		if (b->records == 0) {
			l->open = NULL;
			tgi_batch_unref(b);
		}
		return tgi_error_no_memory(error);
	}
	bool is_new = b->records == 1;
	bool is_full = b->bytes >= p->config.batch_size;
	if (is_full) {
		tgi_producer_close_batch(l);
	}
	p->was_used = true;
	if (is_new || is_full) {
		curl_multi_wakeup(p->multi); /* a deadline of linger to know, or a batch to send */
	}
	if (out != NULL) {
		*out = output;
	}
	return TG_OK;
}

tg_status tg_send_ex(tg_producer *p, const tg_message *message, tg_output **out, tg_error *error)
{
	tg_message m = TG_MESSAGE_INIT;
	uint32_t partition;
	tg_status status;
	if (message->size != sizeof m || (message->value == NULL && message->value_len > 0) ||
		(message->key == NULL && message->key_len > 0) || message->timestamp_ms < 0) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
							 "begin a message with TG_MESSAGE_INIT; lengths need bytes, a timestamp is not negative");
	}
	m = *message;
	if (m.key_len == 0 && (m.key == NULL || !p->config.hash_empty_key)) {
		m.key = NULL;
	}
	if (m.timestamp_ms == 0) {
		m.timestamp_ms = tgi_clock_timestamp_ms();
	}
	size_t alone = BATCH_HEAD_BYTES + tgi_batch_record_bytes(NULL, &m);
	if (alone > p->config.max_request_size) {
		return tgi_error_set(error, TG_ERR_RECORD_TOO_LARGE,
							 "the record needs %zu bytes in a batch of its own; max_request_size is %zu", alone,
							 p->config.max_request_size);
	}
	pthread_mutex_lock(&p->lock);
	if (choose_partition(p, &m, &partition)) {
		status = add(p, p->lanes[partition], &m, out, error);
	} else {
		status = tgi_error_set(error, TG_ERR_PARTITION_NOT_FOUND, "there is no partition %u; the topic has 0 to %u",
							   partition, p->lane_count - 1);
	}
	pthread_mutex_unlock(&p->lock);
	return status;
}

tg_status tg_send(tg_producer *p, const void *key, size_t key_len, const void *value, size_t value_len, tg_output **out,
				  tg_error *error)
{
	const tg_message message = {sizeof message, key, key_len, value, value_len, 0, -1};
	return tg_send_ex(p, &message, out, error);
}

tg_status tg_send_string(tg_producer *p, const char *value, tg_output **out, tg_error *error)
{
	return tg_send(p, NULL, 0, value, strlen(value), out, error);
}

tg_status tg_send_all(tg_producer *p, const tg_message *messages, size_t count, tg_output **outs, size_t *sent,
					  tg_error *error)
{
	tg_status status = TG_OK;
	size_t i = 0;
	for (; i < count; i++) {
		status = tg_send_ex(p, &messages[i], outs != NULL ? &outs[i] : NULL, error);
		if (status != TG_OK) {
			break;
		}
	}
	if (sent != NULL) {
		*sent = i;
	}
	return status;
}

/* ---- flushing ---- */

static bool is_pending(const tg_producer *p, uint64_t before_id)
{
	for (uint32_t i = 0; i < p->lane_count; i++) {
		const lane *l = p->lanes[i];
		if ((l->flying != NULL && l->flying->id < before_id) || (l->first != NULL && l->first->id < before_id)) {
			return true;
		}
	}
	return false;
}

tg_status tg_flush(tg_producer *p, int64_t timeout_ms, tg_error *error)
{
	tg_status status = TG_OK;
	int64_t deadline_ms = tgi_clock_deadline_ms(timeout_ms);
	pthread_mutex_lock(&p->lock);
	uint64_t mark = p->next_batch_id;
	for (uint32_t i = 0; i < p->lane_count; i++) {
		tgi_producer_close_batch(p->lanes[i]);
	}
	curl_multi_wakeup(p->multi);
	while (is_pending(p, mark) && !p->is_stopping) {
		if (!tgi_clock_condition_wait(&p->changed, &p->lock, deadline_ms)) {
			status =
				tgi_error_set(error, TG_TIMEOUT, "not everything was answered within %lld ms; it is still being sent",
							  (long long)timeout_ms);
			break;
		}
	}
	for (uint32_t i = 0; i < p->lane_count; i++) {
		if (p->lanes[i]->has_failed) {
			status = tgi_error_copy(error, &p->lanes[i]->failure);
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return status;
}

void tg_clear_errors(tg_producer *p)
{
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->lane_count; i++) {
		p->lanes[i]->has_failed = false;
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- closing ---- */

static void drop_batch(tg_producer *p, batch *b)
{
	tg_error closed;
	tgi_error_set(&closed, TG_ERR_CLOSED, "the producer was closed before the batch was known to be stored");
	tgi_batch_finish(b, -1, &closed);
	if (p->config.callback != NULL) {
		const tg_batch_report report = {
			.partition = b->partition,
			.base_offset = -1,
			.records = b->records,
			.bytes = b->bytes,
			.created_ms = b->created_ms,
			.elapsed_ms = tgi_clock_now_ms() - b->opened_at_ms,
			.error = &closed,
		};
		p->config.callback(p->config.callback_context, &report);
	}
	tgi_batch_unref(b);
}

tg_status tg_producer_close(tg_producer *p, int64_t timeout_ms, tg_error *error)
{
	if (p == NULL) {
		return TG_OK;
	}
	tg_status status = tg_flush(p, timeout_ms, error);
	pthread_mutex_lock(&p->lock);
	p->is_stopping = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	curl_multi_wakeup(p->multi);
	pthread_join(p->thread, NULL);
	for (uint32_t i = 0; i < p->lane_count; i++) {
		lane *l = p->lanes[i];
		tgi_producer_close_batch(l);
		if (l->flying != NULL) {
			drop_batch(p, l->flying);
		}
		for (batch *b = l->first; b != NULL;) {
			batch *next = b->next;
			drop_batch(p, b);
			b = next;
		}
	}
	free_producer(p);
	return status;
}
