#include "api/httpmq/catalog.h"

#include "api/httpmq/subject.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SET_BYTES_MAX = 256 << 20 };

struct httpmq_set {
	int64_t tenant_id; /* compared by it */
	int64_t read_ms;
	atomic_size_t references;
	arena *arena;
	httpmq_capture *literals; /* by pattern */
	size_t literal_count;
	httpmq_capture *wildcards;
	size_t wildcard_count;
};

/* The count is the one part that changes, reached through the handle that callers hold as const. */
static httpmq_set *whole(const httpmq_set *s)
{
	union {
		const httpmq_set *shared;
		httpmq_set *whole;
	} u = {.shared = s};
	return u.whole;
}

const httpmq_set *httpmq_set_ref(const httpmq_set *s)
{
	atomic_fetch_add_explicit(&whole(s)->references, 1, memory_order_relaxed);
	return s;
}

void httpmq_set_unref(const httpmq_set *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&whole(s)->references, 1, memory_order_acq_rel) == 1) {
		arena_free(s->arena);
		free(whole(s));
	}
}

static int compare_patterns(const void *left, const void *right)
{
	return str_compare(((const httpmq_capture *)left)->pattern, ((const httpmq_capture *)right)->pattern);
}

static void fill(httpmq_set *s, const httpmq_stream *streams, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < streams[i].subject_count; k++) {
			str pattern = streams[i].subjects[k];
			bool is_literal = !httpmq_subject_has_wildcard(pattern);
			httpmq_capture *to = is_literal ? &s->literals[s->literal_count++] : &s->wildcards[s->wildcard_count++];
			*to = (httpmq_capture){.pattern = pattern,
								   .stream = streams[i].name,
								   .topic_id = streams[i].topic_id,
								   .max_msg_size = streams[i].limits.max_msg_size,
								   .max_msgs_per_subject = streams[i].limits.max_msgs_per_subject};
		}
	}
	qsort(s->literals, s->literal_count, sizeof *s->literals, compare_patterns);
}

static bool read_set(httpmq_set *s, log_conn *conn, err *e)
{
	httpmq_stream *streams = NULL;
	size_t count = 0;
	size_t patterns = 0;
	if (!httpmq_streams_read(conn, s->tenant_id, STR_NONE, s->arena, &streams, &count, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		patterns += streams[i].subject_count;
	}
	s->literals = arena_alloc_array(s->arena, patterns + 1, sizeof *s->literals);
	s->wildcards = arena_alloc_array(s->arena, patterns + 1, sizeof *s->wildcards);
	if (s->literals == NULL || s->wildcards == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	fill(s, streams, count);
	return true;
}

const httpmq_capture *httpmq_set_find(const httpmq_set *s, str subject)
{
	const httpmq_capture key = {.pattern = subject};
	const httpmq_capture *found = bsearch(&key, s->literals, s->literal_count, sizeof *s->literals, compare_patterns);
	for (size_t i = 0; found == NULL && i < s->wildcard_count; i++) {
		if (httpmq_subject_matches(s->wildcards[i].pattern, subject)) {
			found = &s->wildcards[i];
		}
	}
	return found;
}

/* ---- the catalog: sets by tenant ---- */

static int compare_tenants(const void *left, const void *right)
{
	int64_t a = ((const httpmq_set *)left)->tenant_id;
	int64_t b = ((const httpmq_set *)right)->tenant_id;
	return a < b ? -1 : a > b ? 1 : 0;
}

static void ref(const void *set)
{
	(void)httpmq_set_ref(set);
}

static void unref(void *set)
{
	httpmq_set_unref(set);
}

static const shared_map_kind SETS = {
	.compare = compare_tenants, .ref = ref, .unref = unref, .most = CATALOG_TENANTS_MAX};

shared_map *httpmq_catalog_new(void)
{
	return shared_map_new(&SETS);
}

const httpmq_set *httpmq_catalog_get(shared_map *c, int64_t tenant_id)
{
	const httpmq_set key = {.tenant_id = tenant_id};
	const httpmq_set *s = shared_map_get(c, &key);
	if (s != NULL && s->read_ms < clock_now_ms() - CATALOG_AGE_MS) {
		httpmq_set_unref(s);
		return NULL;
	}
	return s;
}

bool httpmq_catalog_load(shared_map *c, log_conn *conn, int64_t tenant_id, const httpmq_set **out, err *e)
{
	uint64_t read_at = shared_map_now(c);
	httpmq_set *s = calloc(1, sizeof *s);
	if (s == NULL || (s->arena = arena_new(SET_BYTES_MAX)) == NULL) {
		free(s);
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	s->tenant_id = tenant_id;
	s->read_ms = clock_now_ms();
	atomic_init(&s->references, 1);
	if (!read_set(s, conn, e)) {
		httpmq_set_unref(s);
		return false;
	}
	shared_map_put(c, s, read_at);
	*out = s;
	return true;
}

void httpmq_catalog_forget(shared_map *c, int64_t tenant_id)
{
	const httpmq_set key = {.tenant_id = tenant_id};
	shared_map_remove(c, &key);
}

void httpmq_catalog_hear(shared_map *c, str payload)
{
	int64_t tenant_id;
	if (str_parse_i64(payload, 1, INT64_MAX, &tenant_id)) {
		httpmq_catalog_forget(c, tenant_id);
	} else {
		shared_map_clear(c); /* after a reconnect anything may have been missed */
	}
}
