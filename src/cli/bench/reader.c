#include "cli/bench/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX = 4096, PATIENCE_MS = 24 * 3600 * 1000 };

void reader_init(reader *r, const gateway *g, const gateway_topic *topic, const ledger *l, const payload *p,
				 bool repeats)
{
	memset(r, 0, sizeof *r);
	r->gateway = g;
	r->topic = topic;
	r->ledger = l;
	r->payload = p;
	r->repeats = repeats;
	for (uint32_t i = 0; i < READER_CONNECTIONS_MAX; i++) {
		buf_init(&r->lanes[i].request, REQUEST_MAX);
		reader_seek(r, i, 0);
	}
}

void reader_dispose(reader *r)
{
	for (uint32_t i = 0; i < READER_CONNECTIONS_MAX; i++) {
		buf_dispose(&r->lanes[i].request);
	}
}

void reader_seek(reader *r, uint32_t connection, int64_t offset)
{
	r->lanes[connection].expected = page_expect(r->ledger, r->payload, offset);
	r->lanes[connection].expected.log_grows = r->log_grows;
}

static str next_request(void *context, uint32_t connection)
{
	reader *r = context;
	reader_lane *lane = &r->lanes[connection];
	if (lane->expected.next_offset >= r->ledger->end_offset) {
		if (!r->repeats || r->ledger->end_offset == 0) {
			return STR_NONE;
		}
		reader_seek(r, connection, 0);
	}
	buf_clear(&lane->request);
	gateway_render_consume(r->gateway, r->topic, lane->expected.next_offset, READER_PAGE_RECORDS, &lane->request);
	return lane->request.failed ? STR_NONE : buf_str(&lane->request);
}

static bool take_reply(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	reader *r = context;
	page_expectation *expected = &r->lanes[connection].expected;
	if (!page_check_messages(body, expected, records, e)) {
		return false;
	}
	return *records > 0 || err_set(e, ERR_INTERNAL, "an empty page at offset %" PRId64 " of %" PRId64 " acknowledged",
								   expected->next_offset, r->ledger->end_offset);
}

load_client reader_client(reader *r)
{
	return (load_client){.context = r, .next = next_request, .reply = take_reply};
}

/* A read at the end must find nothing. */
static bool check_end(const gateway *g, const gateway_topic *topic, const ledger *l, err *e)
{
	bool ok = false;
	int64_t offset = 0;
	buf request;
	peer p;
	peer_init(&p);
	buf_init(&request, REQUEST_MAX);
	gateway_render_consume(g, topic, l->end_offset, 1, &request);
	if (request.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!peer_open(&p, gateway_address(g), e) || !peer_call(&p, buf_str(&request), LOAD_TIMEOUT_MS, e)) {
		goto out;
	}
	if (peer_status(&p) != 200) {
		gateway_refused("a read at the end", peer_status(&p), peer_body(&p), e);
		goto out;
	}
	if (page_find_offset(peer_body(&p), &offset)) {
		err_set(e, ERR_INTERNAL, "offset %" PRId64 " is there, which nobody produced", offset);
		goto out;
	}
	ok = true;
out:
	buf_dispose(&request);
	peer_dispose(&p);
	return ok;
}

bool reader_verify(const gateway *g, const gateway_topic *topic, const ledger *l, const payload *p, err *e)
{
	static const usage_sources NOBODY;
	bool ok = false;
	load_result *result = malloc(sizeof *result);
	reader *r = malloc(sizeof *r);
	if (result == NULL || r == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	reader_init(r, g, topic, l, p, false);
	load_options options = {.address = gateway_address(g),
							.sources = &NOBODY,
							.connections = 1,
							.measure_ms = PATIENCE_MS,
							.client = reader_client(r)};
	ok = load_run(&options, result, e) && check_end(g, topic, l, e);
	if (ok && result->records != (uint64_t)l->end_offset) {
		ok = err_set(e, ERR_INTERNAL, "%" PRIu64 " records were read of %" PRId64, result->records, l->end_offset);
	}
	if (!ok) {
		err_frame(e, "reading back");
	}
	reader_dispose(r);
out:
	free(result);
	free(r);
	return ok;
}
