#include "base/metric.h"

#include "base/siphash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	METRICS_MAX = 4096,
	SLOTS = 2 * METRICS_MAX, /* a power of two */
	BOUNDS = 32,             /* 2^0 to 2^31, and one bucket beyond */
	CACHE_LINE = 64,
	MICROSECONDS = 1000000,
};

typedef enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM } metric_kind;

/* All metrics of one name: Prometheus wants them together, under one HELP and TYPE. */
typedef struct family {
	struct family *next;
	char *name;
	char *help;
	metric_kind kind;
	bool is_seconds;
	metric *first;
	metric *last;
} family;

/* Threads that count different things must not share a cache line. */
struct metric {
	_Alignas(CACHE_LINE) _Atomic int64_t value; /* a histogram: its sum */
	_Atomic uint64_t *buckets;                  /* histogram only */
	family *family;
	metric *next; /* of the family */
	char *labels;
};

struct metric_registry {
	pthread_mutex_t lock;
	family *first;
	family *last;
	size_t count;
	uint64_t refused;
	metric *slots[SLOTS]; /* open addressing over name and labels */
	metric overflow;
	_Atomic uint64_t overflow_buckets[BOUNDS + 1];
};

metric_registry *metric_registry_new(void)
{
	size_t size = (sizeof(metric_registry) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	metric_registry *r = aligned_alloc(CACHE_LINE, size);
	if (r == NULL) {
		return NULL;
	}
	memset(r, 0, size);
	pthread_mutex_init(&r->lock, NULL);
	r->overflow.buckets = r->overflow_buckets;
	return r;
}

static void metric_free(metric *m)
{
	if (m != NULL) {
		free(m->buckets);
		free(m->labels);
		free(m);
	}
}

static void family_free(family *f)
{
	if (f != NULL) {
		free(f->name);
		free(f->help);
		free(f);
	}
}

void metric_registry_free(metric_registry *r)
{
	if (r == NULL) {
		return;
	}
	for (size_t i = 0; i < SLOTS; i++) {
		metric_free(r->slots[i]);
	}
	while (r->first != NULL) {
		family *next = r->first->next;
		family_free(r->first);
		r->first = next;
	}
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Caller holds the lock, here and below. NULL when out of memory. */
static family *family_get(metric_registry *r, const char *name, const char *help, metric_kind kind, bool is_seconds)
{
	for (family *f = r->first; f != NULL; f = f->next) {
		if (strcmp(f->name, name) == 0) {
			return f;
		}
	}
	family *f = calloc(1, sizeof *f);
	if (f == NULL) {
		return NULL;
	}
	f->name = strdup(name);
	f->help = strdup(help);
	f->kind = kind;
	f->is_seconds = is_seconds;
	if (f->name == NULL || f->help == NULL) {
		family_free(f);
		return NULL;
	}
	*(r->last != NULL ? &r->last->next : &r->first) = f;
	r->last = f;
	return f;
}

static metric *metric_make(family *f, const char *labels)
{
	metric *m = aligned_alloc(CACHE_LINE, sizeof *m);
	if (m == NULL) {
		return NULL;
	}
	memset(m, 0, sizeof *m);
	m->labels = strdup(labels);
	if (f->kind == KIND_HISTOGRAM) {
		m->buckets = calloc(BOUNDS + 1, sizeof *m->buckets);
	}
	if (m->labels == NULL || (f->kind == KIND_HISTOGRAM && m->buckets == NULL)) {
		metric_free(m);
		return NULL;
	}
	m->family = f;
	*(f->last != NULL ? &f->last->next : &f->first) = m;
	f->last = m;
	return m;
}

/* The metric's slot, or the free one where it belongs. There always is one: SLOTS is twice METRICS_MAX. */
static metric **slot_find(metric_registry *r, const char *name, const char *labels)
{
	uint64_t at = siphash_key(str_from_c(name)) * 31 + siphash_key(str_from_c(labels));
	for (;; at++) {
		metric **slot = &r->slots[at % SLOTS];
		if (*slot == NULL || (strcmp((*slot)->family->name, name) == 0 && strcmp((*slot)->labels, labels) == 0)) {
			return slot;
		}
	}
}

static metric *metric_get(metric_registry *r, metric_kind kind, bool is_seconds, const char *name, const char *help,
						  const char *labels)
{
	if (labels == NULL) {
		labels = "";
	}
	pthread_mutex_lock(&r->lock);
	metric **slot = slot_find(r, name, labels);
	if (*slot == NULL && r->count < METRICS_MAX) {
		family *f = family_get(r, name, help, kind, is_seconds);
		*slot = f != NULL && f->kind == kind ? metric_make(f, labels) : NULL;
		r->count += *slot != NULL;
	}
	metric *found = *slot;
	if (found == NULL || found->family->kind != kind) {
		r->refused++;
		found = &r->overflow;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

metric *metric_counter(metric_registry *r, const char *name, const char *help, const char *labels)
{
	return metric_get(r, KIND_COUNTER, false, name, help, labels);
}

metric *metric_gauge(metric_registry *r, const char *name, const char *help, const char *labels)
{
	return metric_get(r, KIND_GAUGE, false, name, help, labels);
}

metric *metric_histogram(metric_registry *r, const char *name, const char *help, const char *labels, bool is_seconds)
{
	return metric_get(r, KIND_HISTOGRAM, is_seconds, name, help, labels);
}

void metric_add(metric *m, int64_t by)
{
	atomic_fetch_add_explicit(&m->value, by, memory_order_relaxed);
}

void metric_set(metric *m, int64_t value)
{
	atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

/* The first i with value <= 2^i, or BOUNDS. */
static size_t bucket_of(uint64_t value)
{
	size_t i = value <= 1 ? 0 : 64 - (size_t)__builtin_clzll(value - 1);
	return i < BOUNDS ? i : BOUNDS;
}

void metric_observe(metric *m, uint64_t value)
{
	if (m->buckets != NULL) {
		atomic_fetch_add_explicit(&m->buckets[bucket_of(value)], 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&m->value, (int64_t)value, memory_order_relaxed);
	}
}

static uint64_t bucket_load(const metric *m, size_t i)
{
	return atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
}

int64_t metric_value(const metric *m)
{
	if (m->buckets == NULL) {
		return atomic_load_explicit(&m->value, memory_order_relaxed);
	}
	uint64_t count = 0;
	for (size_t i = 0; i <= BOUNDS; i++) {
		count += bucket_load(m, i);
	}
	return (int64_t)count;
}

uint64_t metric_sum(const metric *m)
{
	return m->buckets == NULL ? 0 : (uint64_t)atomic_load_explicit(&m->value, memory_order_relaxed);
}

void metric_add_buckets(const metric *m, uint64_t counts[METRIC_BUCKETS])
{
	_Static_assert((int)METRIC_BUCKETS == (int)BOUNDS + 1, "one bucket beyond the bounds");
	for (size_t i = 0; m->buckets != NULL && i < METRIC_BUCKETS; i++) {
		counts[i] += bucket_load(m, i);
	}
}

/* A bound or a sum in the unit of the metric's name. */
static void render_quantity(buf *out, const family *f, uint64_t value)
{
	if (f->is_seconds) {
		buf_printf(out, "%llu.%06llu", (unsigned long long)(value / MICROSECONDS),
				   (unsigned long long)(value % MICROSECONDS));
	} else {
		buf_append_u64(out, value);
	}
}

/* name_suffix{labels} */
static void render_name(buf *out, const metric *m, const char *suffix)
{
	buf_printf(out, "%s%s", m->family->name, suffix);
	if (m->labels[0] != '\0') {
		buf_printf(out, "{%s}", m->labels);
	}
	buf_append_byte(out, ' ');
}

static void render_histogram(buf *out, const metric *m)
{
	uint64_t count = 0;
	for (size_t i = 0; i <= BOUNDS; i++) {
		count += bucket_load(m, i);
		buf_printf(out, "%s_bucket{%s%sle=\"", m->family->name, m->labels, m->labels[0] != '\0' ? "," : "");
		if (i < BOUNDS) {
			render_quantity(out, m->family, UINT64_C(1) << i);
		} else {
			buf_append_str(out, STR("+Inf"));
		}
		buf_printf(out, "\"} %llu\n", (unsigned long long)count);
	}
	render_name(out, m, "_sum");
	render_quantity(out, m->family, metric_sum(m));
	buf_append_byte(out, '\n');
	/* The buckets' own total: Prometheus requires that it equals the +Inf bucket, also amid observations. */
	render_name(out, m, "_count");
	buf_printf(out, "%llu\n", (unsigned long long)count);
}

static void render_family(buf *out, const family *f)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	buf_printf(out, "# HELP %s ", f->name);
	for (const char *c = f->help; *c != '\0'; c++) {
		if (*c == '\n') {
			buf_append_str(out, STR("\\n"));
		} else if (*c == '\\') {
			buf_append_str(out, STR("\\\\"));
		} else {
			buf_append_byte(out, *c);
		}
	}
	buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->kind]);
	for (const metric *m = f->first; m != NULL; m = m->next) {
		if (f->kind == KIND_HISTOGRAM) {
			render_histogram(out, m);
		} else {
			render_name(out, m, "");
			buf_append_i64(out, metric_value(m));
			buf_append_byte(out, '\n');
		}
	}
}

void metric_render(metric_registry *r, buf *out)
{
	pthread_mutex_lock(&r->lock);
	for (const family *f = r->first; f != NULL; f = f->next) {
		render_family(out, f);
	}
	buf_printf(out,
			   "# HELP tidegate_metrics_refused_total Metrics not made: too many, no memory, or the name is of "
			   "another type.\n# TYPE tidegate_metrics_refused_total counter\ntidegate_metrics_refused_total %llu\n",
			   (unsigned long long)r->refused);
	pthread_mutex_unlock(&r->lock);
}
