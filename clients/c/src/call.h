/*
 * call: one HTTP request and its answer on a curl handle, and what the answer means.
 *
 * Owns     its curl handle and the bytes of the answer; the request's body and text are the caller's until the end.
 * Threads  one at a time.
 * Limits   CALL_REPLY_BYTES_MAX of an answer.
 * Errors   tgi_call_judge() turns a failure of curl or an answer that is no success into a status; error->retryable tells
 *          whether the same request may succeed later.
 */
#ifndef TG_CALL_H
#define TG_CALL_H

#include "buffer.h"
#include "client.h"

#include <curl/curl.h>
#include <jansson.h>

#define CALL_REPLY_BYTES_MAX ((size_t)256 << 20)

enum { CALL_ETAG_BYTES_MAX = 127 };

typedef struct call_request {
	const char *method;
	const char *path;   /* from / on, percent-encoded */
	const char *accept; /* NULL = JSON */
	const char *content_type;
	const char *content_encoding;
	const char *const *headers; /* "Name: value", NULL at the end; or NULL */
	const void *body;           /* NULL = none */
	size_t body_len;
	int64_t timeout_ms; /* 0 = none */
} call_request;

typedef struct call {
	CURL *easy;
	struct curl_slist *headers;
	buffer reply;
	int64_t retry_after_ms;             /* 0 = not told */
	char etag[CALL_ETAG_BYTES_MAX + 1]; /* "" = none */
	long http;
	bool is_headed; /* the head of the answer has come to its end */
	bool is_broken; /* too long, or no memory */
	char curl_message[CURL_ERROR_SIZE];
} call;

/* Makes ready for curl; a call may be used again and again. TG_ERR_NO_MEMORY. */
tg_status tgi_call_prepare(call *c, tg_client *client, const call_request *request, tg_error *error);
tg_status tgi_call_judge(call *c, CURLcode result, tg_error *error);
void tgi_call_dispose(call *c);

/* The answer as a JSON object, which the caller releases. NULL: TG_ERR_PROTOCOL. */
json_t *tgi_call_json(const call *c, tg_error *error);
/* Whether the head of the answer says that packets follow. */
bool tgi_call_has_packets(const call *c);

/* Request and judgement on the client's own connection; *reply (may be NULL) is the caller's. */
tg_status tgi_call_run(tg_client *client, const call_request *request, json_t **reply, tg_error *error);
/* The same for a POST of JSON text. A path that is NULL or a body that failed: TG_ERR_NO_MEMORY. */
tg_status tgi_call_post(tg_client *client, const char *path, const buffer *body, json_t **reply, tg_error *error);

#endif
