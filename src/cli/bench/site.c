#include "cli/bench/site.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "cli/bench/gateway.h"
#include "cli/bench/request.h"

static void render(const site_stream *s, const char *method, const char *query, str body, buf *out)
{
	char path[SITE_PATH_MAX + SITE_OFFSET_MAX + 32];
	snprintf(path, sizeof path, "%s%s", s->path, query);
	request r = {.method = method,
				 .authority = str_from_c(s->site->address.authority),
				 .path = str_from_c(path),
				 .api_key = s->site->api_key,
				 .content_type = s->content_type,
				 .body = body};
	request_render(&r, out);
}

/* One call over a connection of its own. */
static bool call(const site_stream *s, const char *method, int status, err *e)
{
	peer p;
	buf text;
	peer_init(&p);
	buf_init(&text, SITE_REQUEST_MAX);
	render(s, method, "", STR_NONE, &text);
	bool ok = peer_open(&p, &s->site->address, e) && peer_call(&p, buf_str(&text), SITE_TIMEOUT_MS, e) &&
			  (peer_status(&p) == status || gateway_refused(method, peer_status(&p), peer_body(&p), e));
	buf_dispose(&text);
	peer_dispose(&p);
	return ok;
}

bool site_create(const site *s, const char *purpose, const char *content_type, site_stream *out, err *e)
{
	*out = (site_stream){.site = s, .content_type = content_type};
	snprintf(out->path, sizeof out->path, "/v1/stream/bench/%016llx/%s", (unsigned long long)id_random_u64(), purpose);
	return call(out, "PUT", 201, e);
}

bool site_delete(const site_stream *s, err *e)
{
	return call(s, "DELETE", 204, e);
}

void site_render_append(const site_stream *s, str body, buf *out)
{
	render(s, "POST", "", body, out);
}

void site_render_watch(const site_stream *s, buf *out)
{
	render(s, "GET", "?offset=now&live=sse", STR_NONE, out);
}

/* ---- reading ---- */

bool site_reader_open(site_reader *r, const site_stream *s, err *e)
{
	*r = (site_reader){.stream = s};
	peer_init(&r->peer);
	site_reader_rewind(r);
	return peer_open(&r->peer, &s->site->address, e);
}

void site_reader_rewind(site_reader *r)
{
	r->is_done = false;
	snprintf(r->offset, sizeof r->offset, "-1");
}

bool site_reader_next(site_reader *r, str *page, err *e)
{
	char query[SITE_OFFSET_MAX + 16];
	buf text;
	buf_init(&text, SITE_REQUEST_MAX);
	snprintf(query, sizeof query, "?offset=%s", r->offset);
	render(r->stream, "GET", query, STR_NONE, &text);
	bool ok = peer_call(&r->peer, buf_str(&text), SITE_TIMEOUT_MS, e);
	buf_dispose(&text);
	if (!ok) {
		return false;
	}
	str next = peer_header(&r->peer, STR("Stream-Next-Offset"));
	if (peer_status(&r->peer) != 200 || next.len == 0 || next.len >= SITE_OFFSET_MAX) {
		return gateway_refused("a read", peer_status(&r->peer), peer_body(&r->peer), e);
	}
	memcpy(r->offset, next.ptr, next.len);
	r->offset[next.len] = '\0';
	r->is_done = str_equal(peer_header(&r->peer, STR("Stream-Up-To-Date")), STR("true"));
	*page = peer_body(&r->peer);
	return true;
}

void site_reader_close(site_reader *r)
{
	peer_dispose(&r->peer);
}
