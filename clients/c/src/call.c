#include "call.h"

#include "error.h"
#include "packet.h"
#include "topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RETRY_AFTER_MAX_S = 3600 };

/* ---- curl's callbacks ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	call *c = context;
	size_t len = size * count;
	if (len > CALL_REPLY_BYTES_MAX - c->reply.len) {
		c->is_broken = true;
		return 0;
	}
	tgi_buffer_append(&c->reply, bytes, len);
	c->is_broken = c->reply.failed;
	return c->is_broken ? 0 : len;
}

/* The value of a header of that name (small letters, with its colon); false: it is another one, or too long. */
static bool header_value(const char *line, size_t len, const char *name, char value[CALL_ETAG_BYTES_MAX + 1])
{
	size_t begin = strlen(name);
	if (len <= begin || strncasecmp(line, name, begin) != 0) {
		return false;
	}
	while (begin < len && line[begin] == ' ') {
		begin++;
	}
	while (len > begin && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' ')) {
		len--;
	}
	if (len - begin > CALL_ETAG_BYTES_MAX) {
		return false;
	}
	memcpy(value, line + begin, len - begin);
	value[len - begin] = '\0';
	return true;
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
	call *c = context;
	size_t len = size * count;
	char value[CALL_ETAG_BYTES_MAX + 1];
	c->is_headed = line[0] == '\r' || line[0] == '\n';
	if (header_value(line, len, "retry-after:", value)) {
		long seconds = strtol(value, NULL, 10);
		c->retry_after_ms = seconds < 0 ? 0 : (seconds > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : seconds) * 1000L;
	} else if (header_value(line, len, "etag:", value)) {
		memcpy(c->etag, value, sizeof value);
	}
	return len;
}

/* ---- the request ---- */

static bool add_header(call *c, const char *name, const char *value)
{
	buffer line = {0};
	tgi_buffer_text(&line, name);
	tgi_buffer_text(&line, value);
	tgi_buffer_append(&line, "", 1);
	struct curl_slist *longer = line.failed ? NULL : curl_slist_append(c->headers, line.ptr);
	tgi_buffer_dispose(&line);
	if (longer == NULL) {
		return false;
	}
	c->headers = longer;
	return true;
}

static bool add_headers(call *c, const tg_config *config, const call_request *r)
{
	bool is_done =
		add_header(c, "Expect:", "") && add_header(c, "Accept: ", r->accept != NULL ? r->accept : "application/json");
	if (config->api_key != NULL && config->api_key[0] != '\0') {
		is_done = is_done && add_header(c, "X-API-Key: ", config->api_key);
	}
	if (config->token != NULL && config->token[0] != '\0') {
		is_done = is_done && add_header(c, "Authorization: Bearer ", config->token);
	}
	if (r->body != NULL) {
		is_done = is_done && add_header(c, "Content-Type: ", r->content_type);
	}
	if (r->content_encoding != NULL) {
		is_done = is_done && add_header(c, "Content-Encoding: ", r->content_encoding);
	}
	for (const char *const *more = r->headers; more != NULL && *more != NULL; more++) {
		is_done = is_done && add_header(c, *more, "");
	}
	return is_done;
}

static bool set_tls(CURL *easy, const tg_config *config)
{
	CURLcode done = CURLE_OK;
	if (config->ca_file != NULL && config->ca_file[0] != '\0') {
		done = curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	}
	if (done == CURLE_OK && config->certificate_file != NULL) {
		done = curl_easy_setopt(easy, CURLOPT_SSLCERT, config->certificate_file);
	}
	if (done == CURLE_OK && config->key_file != NULL) {
		done = curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
	}
	if (!config->verify) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return done == CURLE_OK;
}

static bool set_url(call *c, const tg_config *config, const char *path)
{
	buffer url = {0};
	tgi_buffer_text(&url, config->endpoint);
	tgi_buffer_text(&url, path);
	tgi_buffer_append(&url, "", 1);
	bool is_done = !url.failed && curl_easy_setopt(c->easy, CURLOPT_URL, url.ptr) == CURLE_OK;
	tgi_buffer_dispose(&url);
	return is_done;
}

tg_status tgi_call_prepare(call *c, tg_client *client, const call_request *r, tg_error *error)
{
	const tg_config *config = &client->config;
	curl_slist_free_all(c->headers);
	c->headers = NULL;
	c->retry_after_ms = 0;
	c->etag[0] = '\0';
	c->http = 0;
	c->is_headed = false;
	c->is_broken = false;
	c->curl_message[0] = '\0';
	tgi_buffer_clear(&c->reply);
	if (c->easy == NULL) {
		c->easy = curl_easy_init();
	} else {
		curl_easy_reset(c->easy);
	}
	if (c->easy == NULL || !set_url(c, config, r->path) || !add_headers(c, config, r) || !set_tls(c->easy, config)) {
		return tgi_error_no_memory(error);
	}
	CURL *easy = c->easy;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "libtidegate");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->curl_message);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	if (r->body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
	return TG_OK;
}

void tgi_call_dispose(call *c)
{
	if (c->easy != NULL) {
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->headers);
	tgi_buffer_dispose(&c->reply);
	*c = (call){0};
}

/* ---- the judgement ---- */

static bool is_passing(CURL *easy, CURLcode result)
{
	long system_error = 0;
	static const CURLcode passing[] = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
									   CURLE_SEND_ERROR,           CURLE_RECV_ERROR,      CURLE_GOT_NOTHING,
									   CURLE_PARTIAL_FILE,         CURLE_HTTP2,           CURLE_HTTP2_STREAM};
	for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
		if (result == passing[i]) {
			return true;
		}
	}
	/* A handshake that the network cut short, rather than one that was refused. */
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &system_error);
	return result == CURLE_SSL_CONNECT_ERROR && system_error != 0;
}

static tg_status judge_curl(call *c, CURLcode result, tg_error *error)
{
	if (result == CURLE_OUT_OF_MEMORY) {
		return tgi_error_no_memory(error);
	}
	if (c->is_broken) {
		return c->reply.failed
				   ? tgi_error_no_memory(error)
				   : tgi_error_set(error, TG_ERR_PROTOCOL, "the answer is longer than %zu bytes", CALL_REPLY_BYTES_MAX);
	}
	const char *text = c->curl_message[0] != '\0' ? c->curl_message : curl_easy_strerror(result);
	tgi_error_set(error, TG_ERR_CONNECTION,
				  "the server could not be reached: %s; check the endpoint, the network and TLS", text);
	error->retryable = is_passing(c->easy, result);
	return TG_ERR_CONNECTION;
}

static tg_status kind_of(long http, const char *code)
{
	static const struct {
		const char *code;
		tg_status kind;
	} codes[] = {
		{"topic_not_found", TG_ERR_TOPIC_NOT_FOUND},
		{"group_not_found", TG_ERR_GROUP_NOT_FOUND},
		{"record_too_large", TG_ERR_RECORD_TOO_LARGE},
		{"batch_too_large", TG_ERR_RECORD_TOO_LARGE},
		{"topic_full", TG_ERR_TOPIC_FULL},
		{"offset_evicted", TG_ERR_OFFSET_EVICTED},
		{"offset_out_of_range", TG_ERR_OFFSET_OUT_OF_RANGE},
		{"topic_exists_incompatible", TG_ERR_TOPIC_EXISTS},
		{"producer_fenced", TG_ERR_FENCED},
		{"producer_sequence_gap", TG_ERR_FENCED},
		{"invalid_request", TG_ERR_INVALID_ARGUMENT},
	};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (strcmp(codes[i].code, code) == 0) {
			return codes[i].kind;
		}
	}
	switch (http) {
	case 401:
		return TG_ERR_UNAUTHORIZED;
	case 403:
		return TG_ERR_FORBIDDEN;
	case 413:
		return TG_ERR_RECORD_TOO_LARGE;
	case 415:
		return TG_ERR_COMPRESSION;
	case 408:
	case 425:
	case 429:
	case 502:
	case 503:
	case 504:
		return TG_ERR_UNAVAILABLE;
	default:
		return TG_ERR_SERVER;
	}
}

static void read_detail(const json_t *detail, tg_error *error)
{
	error->partition = (int32_t)tgi_topic_integer(detail, "partition", -1);
	error->start_offset = tgi_topic_integer(detail, "next_available", tgi_topic_integer(detail, "start_offset", -1));
	error->end_offset = tgi_topic_integer(detail, "end_offset", -1);
}

tg_status tgi_call_judge(call *c, CURLcode result, tg_error *error)
{
	tg_error own; /* the fields below are needed whether the caller wants them or not */
	if (error == NULL) {
		error = &own;
	}
	if (result != CURLE_OK) {
		return judge_curl(c, result, error);
	}
	if (!c->is_headed) {
		/* Curl takes a connection that ends within the head for an answer without a body. */
		tgi_error_set(error, TG_ERR_CONNECTION, "the connection was closed in the middle of an answer");
		error->retryable = true;
		return TG_ERR_CONNECTION;
	}
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->http);
	if (c->http >= 200 && c->http < 300) {
		return TG_OK;
	}
	json_t *body = json_loadb(c->reply.ptr != NULL ? c->reply.ptr : "", c->reply.len, 0, NULL);
	json_t *envelope = json_object_get(body, "error");
	const char *code = json_string_value(json_object_get(envelope, "code"));
	const char *message = json_string_value(json_object_get(envelope, "message"));
	tg_status kind = kind_of(c->http, code != NULL ? code : "");
	if (message != NULL) {
		tgi_error_set(error, kind, "%s", message);
	} else {
		tgi_error_set(error, kind, "the server answered with HTTP status %ld and no reason", c->http);
	}
	error->http = (int)c->http;
	error->retryable = kind == TG_ERR_UNAVAILABLE;
	if (kind == TG_ERR_OFFSET_EVICTED || kind == TG_ERR_OFFSET_OUT_OF_RANGE) {
		read_detail(json_object_get(envelope, "detail"), error);
	}
	json_decref(body);
	return kind;
}

bool tgi_call_has_packets(const call *c)
{
	const char *type = NULL;
	curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
	return type != NULL && strncmp(type, PACKET_MEDIA_TYPE, sizeof PACKET_MEDIA_TYPE - 1) == 0;
}

json_t *tgi_call_json(const call *c, tg_error *error)
{
	json_t *body = json_loadb(c->reply.ptr != NULL ? c->reply.ptr : "", c->reply.len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(body)) {
		json_decref(body);
		tgi_error_set(error, TG_ERR_PROTOCOL,
					  "the answer is no JSON object; does the endpoint lead to a Tidegate server?");
		return NULL;
	}
	return body;
}

/* On the client's own connection, whose lock is held. */
static tg_status run_locked(tg_client *client, const call_request *request, tg_error *error)
{
	call *c = client->shared;
	tg_status status = tgi_call_prepare(c, client, request, error);
	return status == TG_OK ? tgi_call_judge(c, curl_easy_perform(c->easy), error) : status;
}

tg_status tgi_call_run(tg_client *client, const call_request *request, json_t **reply, tg_error *error)
{
	json_t *body = NULL;
	pthread_mutex_lock(&client->lock);
	tg_status status = run_locked(client, request, error);
	if (status == TG_OK && (body = tgi_call_json(client->shared, error)) == NULL) {
		status = TG_ERR_PROTOCOL;
	}
	pthread_mutex_unlock(&client->lock);
	if (status == TG_OK && reply != NULL) {
		*reply = body;
	} else {
		json_decref(body);
	}
	return status;
}

tg_status tg_request(tg_client *client, const char *method, const char *path, const char *json, tg_reply *reply,
					 tg_error *error)
{
	const call_request request = {
		.method = method,
		.path = path,
		.content_type = "application/json",
		.body = json,
		.body_len = json != NULL ? strlen(json) : 0,
		.timeout_ms = client->config.request_timeout_ms,
	};
	if (method == NULL || path == NULL || path[0] != '/') {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "a request needs a method and a path that begins with /");
	}
	pthread_mutex_lock(&client->lock);
	call *c = client->shared;
	tg_status status = run_locked(client, &request, error);
	if (status == TG_OK) {
		tgi_buffer_append(&c->reply, "", 1);
		if (c->reply.failed) {
			status = tgi_error_no_memory(error);
		} else {
			*reply = (tg_reply){.http = (int)c->http, .text = c->reply.ptr, .len = c->reply.len - 1};
			c->reply = (buffer){0};
		}
	}
	pthread_mutex_unlock(&client->lock);
	return status;
}

void tg_reply_free(tg_reply *reply)
{
	free(reply->text);
	*reply = (tg_reply){0};
}

tg_status tgi_call_post(tg_client *client, const char *path, const buffer *body, json_t **reply, tg_error *error)
{
	if (path == NULL || body->failed) {
		return tgi_error_no_memory(error);
	}
	const call_request request = {
		.method = "POST",
		.path = path,
		.content_type = "application/json",
		.body = body->ptr,
		.body_len = body->len,
		.timeout_ms = client->config.request_timeout_ms,
	};
	return tgi_call_run(client, &request, reply, error);
}
