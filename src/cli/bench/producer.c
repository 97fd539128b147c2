#include "cli/bench/producer.h"

#include <string.h>

#include "cli/bench/page.h"

void producer_init(producer *p, const payload *what, ledger *acknowledged, uint64_t max_requests)
{
	memset(p, 0, sizeof *p);
	p->payload = what;
	p->ledger = acknowledged;
	p->requests_left = max_requests;
}

static str next_request(void *context, uint32_t connection)
{
	producer *p = context;
	if (p->requests_left == 0) {
		return STR_NONE;
	}
	p->requests_left--;
	uint32_t variant = p->next_variant;
	p->next_variant = (variant + 1) % payload_variants(p->payload);
	p->variants[connection] = variant;
	return payload_request(p->payload, variant);
}

static bool take_reply(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	producer *p = context;
	uint32_t count = payload_records(p->payload);
	int64_t base_offset = 0;
	if (!page_check_results(body, count, &base_offset, e) ||
		!ledger_add(p->ledger, base_offset, count, p->variants[connection], e)) {
		return false;
	}
	*records = count;
	return true;
}

load_client producer_client(producer *p)
{
	return (load_client){.context = p, .next = next_request, .reply = take_reply};
}
