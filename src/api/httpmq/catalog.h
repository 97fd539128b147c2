/*
 * api/httpmq/catalog: which stream captures a subject, remembered per tenant, so that a publish asks the database for nothing
 * but its append.
 *
 * What is remembered goes when this worker changes streams, when another one tells so, and after CATALOG_AGE_MS anyway. A
 * subject that no stream is known for is looked up in the database before it is refused.
 *
 * Owns     a set is immutable and reference-counted; captures point into it.
 * Threads  any.
 * Limits   CATALOG_TENANTS_MAX tenants; beyond, all are forgotten.
 */
#ifndef TIDEGATE_API_HTTPMQ_CATALOG_H
#define TIDEGATE_API_HTTPMQ_CATALOG_H

#include "api/httpmq/store.h"
#include "base/shared_map.h"

typedef struct httpmq_set httpmq_set;

enum { CATALOG_AGE_MS = 10000, CATALOG_TENANTS_MAX = 1000 };

typedef struct httpmq_capture {
	str pattern;
	str stream;
	int64_t topic_id;
	int64_t max_msg_size;         /* -1 = none */
	int64_t max_msgs_per_subject; /* the same */
} httpmq_capture;

shared_map *httpmq_catalog_new(void); /* NULL when memory is out */

const httpmq_set *httpmq_catalog_get(shared_map *c, int64_t tenant_id); /* a reference, or NULL */
/* As the database has it now; remembered unless something changed meanwhile. ERR_NO_MEMORY, those of db/conn. */
bool httpmq_catalog_load(shared_map *c, log_conn *conn, int64_t tenant_id, const httpmq_set **out, err *e) MUST_CHECK;
void httpmq_catalog_forget(shared_map *c, int64_t tenant_id);
/* A notification of API_HTTPMQ_CHANNEL. */
void httpmq_catalog_hear(shared_map *c, str payload);

const httpmq_capture *httpmq_set_find(const httpmq_set *s, str subject); /* NULL: none */
const httpmq_set *httpmq_set_ref(const httpmq_set *s);                   /* returns s */
void httpmq_set_unref(const httpmq_set *s);                              /* accepts NULL */

#endif
