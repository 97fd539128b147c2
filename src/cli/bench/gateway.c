#include "cli/bench/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "cli/bench/request.h"

enum { CONTROL_REQUEST_MAX = 4096, CONSUME_BYTES_MAX = 16 * 1024 * 1024 };

struct gateway {
	peer_address address;
	char *api_key; /* NULL = none */
	peer control;
	uint32_t topics; /* made so far */
	uint64_t run;    /* random, part of every topic's name */
};

bool gateway_refused(const char *what, int status, str body, err *e)
{
	return err_set(e, ERR_INTERNAL, "%s was answered with %d: %.*s", what, status, STR_ARG(str_take(body, 200)));
}

/* ---- requests ---- */

static void render(const gateway *s, const char *method, const char *path, const char *accept, str body, buf *out)
{
	request r = {.method = method,
				 .authority = str_from_c(s->address.authority),
				 .path = str_from_c(path),
				 .api_key = str_from_c(s->api_key),
				 .accept = accept,
				 .body = body};
	request_render(&r, out);
}

void gateway_render_produce(const gateway *s, const gateway_topic *topic, str body, buf *out)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	snprintf(path, sizeof path, "/topics/%s/produce", topic->name);
	render(s, "POST", path, NULL, body, out);
}

void gateway_render_consume(const gateway *s, const gateway_topic *topic, int64_t offset, uint32_t max_messages,
							buf *out)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	char body[128];
	snprintf(path, sizeof path, "/topics/%s/consume", topic->name);
	snprintf(body, sizeof body, "{\"partition\":0,\"offset\":%lld,\"max_messages\":%u,\"max_bytes\":%d}",
			 (long long)offset, max_messages, CONSUME_BYTES_MAX);
	render(s, "POST", path, NULL, str_from_c(body), out);
}

void gateway_render_write(const gateway *s, const gateway_topic *topic, str body, buf *out)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	snprintf(path, sizeof path, "/v0/topics/%s", topic->name);
	render(s, "POST", path, NULL, body, out);
}

void gateway_render_queue(const gateway *s, const gateway_topic *topic, const char *verb, str body, buf *out)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	snprintf(path, sizeof path, "/v0/topics/%s/%s", topic->name, verb);
	render(s, "POST", path, NULL, body, out);
}

void gateway_render_watch(const gateway *s, const gateway_topic *topic, int64_t offset, buf *out)
{
	char path[GATEWAY_TOPIC_MAX + 80];
	snprintf(path, sizeof path, "/topics/%s/stream?partition=0&offset=%lld", topic->name, (long long)offset);
	render(s, "GET", path, "text/event-stream", STR_NONE, out);
}

/* ---- control calls ---- */

static bool call(gateway *s, const char *method, const char *path, str body, err *e)
{
	buf text;
	bool ok = false;
	buf_init(&text, CONTROL_REQUEST_MAX);
	render(s, method, path, NULL, body, &text);
	if (text.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	/* The server may have closed an idle connection: control calls always open a new one. */
	peer_dispose(&s->control);
	ok = peer_open(&s->control, &s->address, e) && peer_call(&s->control, buf_str(&text), GATEWAY_TIMEOUT_MS, e);
out:
	buf_dispose(&text);
	return ok;
}

bool gateway_open(str url, str api_key, gateway **out, err *e)
{
	bool ok = false;
	gateway *s = calloc(1, sizeof *s);
	if (s == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	peer_init(&s->control);
	s->run = id_random_u64();
	if (api_key.ptr != NULL) {
		s->api_key = strndup(api_key.ptr, api_key.len);
		if (s->api_key == NULL) {
			err_set(e, ERR_NO_MEMORY, "out of memory");
			goto out;
		}
	}
	if (!peer_resolve(url, &s->address, e) || !call(s, "GET", "/topics?page_size=1", STR_NONE, e)) {
		goto out;
	}
	if (peer_status(&s->control) != 200) {
		gateway_refused("GET /topics", peer_status(&s->control), peer_body(&s->control), e);
		goto out;
	}
	*out = s;
	s = NULL;
	ok = true;
out:
	gateway_close(s);
	return ok;
}

void gateway_close(gateway *s)
{
	if (s != NULL) {
		peer_dispose(&s->control);
		free(s->api_key);
		free(s);
	}
}

const peer_address *gateway_address(const gateway *s)
{
	return &s->address;
}

bool gateway_topic_create(gateway *s, const char *purpose, const char *type, gateway_topic *out, err *e)
{
	gateway_topic topic;
	char body[256];
	s->topics++;
	snprintf(topic.name, sizeof topic.name, "bench-%08x-%u-%s", (unsigned)s->run, s->topics, purpose);
	snprintf(body, sizeof body,
			 "{\"name\":\"%s\",\"partitions\":1,\"config\":{\"type\":\"%s\",\"durability\":"
			 "\"fsync\"}}",
			 topic.name, type);
	if (!call(s, "POST", "/topics", str_from_c(body), e)) {
		return err_frame(e, "creating a topic");
	}
	if (peer_status(&s->control) != 201) {
		return gateway_refused("POST /topics", peer_status(&s->control), peer_body(&s->control), e);
	}
	*out = topic;
	return true;
}

bool gateway_topic_set_class(gateway *s, const gateway_topic *topic, const char *durability, err *e)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	char body[64];
	snprintf(path, sizeof path, "/v0/topics/%s", topic->name);
	snprintf(body, sizeof body, "{\"durability\":\"%s\"}", durability);
	if (!call(s, "PUT", path, str_from_c(body), e)) {
		return err_frame(e, "changing a topic");
	}
	return peer_status(&s->control) == 200 ||
		   gateway_refused("PUT /v0/topics", peer_status(&s->control), peer_body(&s->control), e);
}

bool gateway_topic_head(gateway *s, const gateway_topic *topic, uint64_t *out, err *e)
{
	static const str member = {"\"head_seq\":", sizeof "\"head_seq\":" - 1};
	char path[GATEWAY_TOPIC_MAX + 32];
	size_t at;
	snprintf(path, sizeof path, "/v0/topics/%s?touch=false", topic->name);
	if (!call(s, "GET", path, STR_NONE, e)) {
		return err_frame(e, "reading a topic");
	}
	str rest = peer_body(&s->control);
	if (peer_status(&s->control) != 200 || !str_find(rest, member, &at)) {
		return gateway_refused("GET /v0/topics", peer_status(&s->control), rest, e);
	}
	rest = str_skip(rest, at + member.len);
	size_t digits = 0;
	while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9') {
		digits++;
	}
	return str_parse_u64(str_take(rest, digits), UINT64_MAX, out) ||
		   gateway_refused("GET /v0/topics", peer_status(&s->control), rest, e);
}

bool gateway_open_session(gateway *s, const gateway_topic *topic, buf *out, err *e)
{
	static const str member = {"\"stream_url\":\"", sizeof "\"stream_url\":\"" - 1};
	char body[GATEWAY_TOPIC_MAX + 64];
	char path[128];
	size_t at;
	str url;
	str rest;
	snprintf(body, sizeof body, "{\"topics\":{\"%s\":{\"from_seq\":0}}}", topic->name);
	if (!call(s, "POST", "/v0/watch", str_from_c(body), e)) {
		return err_frame(e, "making a watch session");
	}
	str answer = peer_body(&s->control);
	if (peer_status(&s->control) != 200 || !str_find(answer, member, &at) ||
		!str_split(str_skip(answer, at + member.len), '"', &url, &rest)) {
		return gateway_refused("POST /v0/watch", peer_status(&s->control), answer, e);
	}
	snprintf(path, sizeof path, "%.*s", STR_ARG(url));
	render(s, "GET", path, "text/event-stream", STR_NONE, out);
	return !out->failed || err_set(e, ERR_NO_MEMORY, "out of memory");
}

bool gateway_topic_delete(gateway *s, const gateway_topic *topic, err *e)
{
	char path[GATEWAY_TOPIC_MAX + 32];
	snprintf(path, sizeof path, "/topics/%s", topic->name);
	if (!call(s, "DELETE", path, STR_NONE, e)) {
		return err_frame(e, "deleting a topic");
	}
	if (peer_status(&s->control) != 200) {
		return gateway_refused("DELETE /topics", peer_status(&s->control), peer_body(&s->control), e);
	}
	return true;
}
