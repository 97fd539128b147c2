#include "log/lease_deal.h"

void lease_deal_begin(lease_deal *d, lease_share *shares, size_t count)
{
	*d = (lease_deal){.shares = shares, .count = count};
	for (size_t i = 0; i < count; i++) {
		d->wanted += shares[i].wanted;
	}
}

static bool fits(const lease_share *s, uint64_t bytes)
{
	return s->given == 0 || s->bytes + bytes <= LOG_LEASE_CLAIM_BYTES;
}

int64_t lease_deal_one(lease_deal *d, uint64_t bytes)
{
	for (size_t tried = 0; tried < d->count && d->wanted > 0; tried++) {
		size_t at = d->next;
		lease_share *s = &d->shares[at];
		d->next = (at + 1) % d->count;
		if (s->wanted > 0 && !fits(s, bytes)) {
			/* Its answer is full: what it still wanted it gets with its next claim. */
			d->wanted -= s->wanted;
			s->wanted = 0;
		}
		if (s->wanted > 0) {
			s->wanted--;
			s->given++;
			s->bytes += bytes;
			d->wanted--;
			return (int64_t)at;
		}
	}
	return LEASE_NOBODY;
}
