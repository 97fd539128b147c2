#include "api/allowance.h"

#include <stdlib.h>

#include "auth/limit.h"
#include "base/clock.h"
#include "log/quota.h"

/* ---- what a tenant stores ---- */

typedef struct reading {
	limit_account *account;
	int64_t tenant_id;
} reading;

/* stored < 0: it is not known. */
static void end_reading(reading *r, int64_t begun, int64_t stored)
{
	limit_tell_stored(r->account, begun, stored);
	limit_account_unref(r->account);
	free(r);
}

static void run_reading(void *context, log_conn *conn)
{
	reading *r = context;
	err ignored;
	int64_t begun = limit_begin_stored(r->account);
	int64_t stored = 0;
	bool ok = log_quota_stored(conn, r->tenant_id, &stored, &ignored);
	end_reading(r, begun, ok ? stored : -1);
}

static void refuse_reading(void *context, const err *e)
{
	(void)e;
	end_reading(context, 0, -1);
}

/* Without memory, or room among the operations, the next append tries again. */
static void read_stored(const api *a, const auth_principal *p)
{
	err ignored;
	reading *r = malloc(sizeof *r);
	if (r == NULL) {
		limit_tell_stored(p->account, 0, -1);
		return;
	}
	*r = (reading){limit_account_ref(p->account), p->tenant_id};
	if (!log_engine_submit(a->log, (log_job){run_reading, refuse_reading, r}, &ignored)) {
		end_reading(r, 0, -1);
	}
}

/* ---- for handlers ---- */

static int64_t bytes_of(const log_columns *records)
{
	int64_t bytes = 0;
	for (uint32_t i = 0; i < records->count; i++) {
		bytes += (int64_t)records->values[i].len;
	}
	return bytes;
}

/* How much is stored is asked for at the first append that wants to know, and looked up behind its back. */
static bool store(const api *a, const auth_principal *p, const log_columns *records, int64_t now_us, err *e)
{
	bool is_due = false;
	if (limit_of_tenant(p->account, LIMIT_STORED_BYTES) == 0) {
		return true;
	}
	bool ok = limit_store(p->account, bytes_of(records), now_us, &is_due, e);
	if (is_due) {
		read_stored(a, p);
	}
	return ok;
}

bool allowance_append(api *a, const auth_principal *p, const log_columns *records, err *e)
{
	int64_t now_us = clock_now_us();
	return p->account == NULL || records->count == 0 ||
		   (store(a, p, records, now_us, e) &&
			limit_take(p->account, LIMIT_RECORDS_PER_SECOND, records->count, now_us, e));
}
