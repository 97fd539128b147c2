/* The cases with live readers: how soon they are told, and what one costs while nothing happens. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/bench/cases.h"
#include "cli/bench/page.h"
#include "cli/bench/watchers.h"

enum { WATCH_VARIANTS = 64, SETTLE_MS = 1000, SPARE_FILES = 128, IDLE_ROUNDS = 3, REQUEST_MAX = 4096 };

static bool is_event(str line, int64_t *offset)
{
	return str_starts_with(line, STR("data:")) && page_find_offset(line, offset);
}

static bool check_reply(const peer *p, int64_t *offset, err *e)
{
	if (peer_status(p) != 200) {
		return gateway_refused("a produce request", peer_status(p), peer_body(p), e);
	}
	return page_check_results(peer_body(p), 1, offset, e);
}

static const watch_dialect STREAMING = {is_event, check_reply};

/* More watchers at a server, from the end of the log on. */
static bool add_watchers(const gateway *server, const bench_log *l, watchers *w, uint32_t count, err *e)
{
	buf request;
	buf_init(&request, REQUEST_MAX);
	gateway_render_watch(server, &l->topic, (int64_t)l->ledger.count, &request);
	bool ok = request.failed ? err_set(e, ERR_NO_MEMORY, "out of memory")
							 : watchers_add(w, gateway_address(server), buf_str(&request), count, e);
	buf_dispose(&request);
	return ok;
}

static double milliseconds(const latency *l, double share)
{
	return (double)latency_percentile(l, share) / 1e6;
}

bool bench_allow_files(uint32_t count, err *e)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return err_set(e, ERR_INTERNAL, "getrlimit: %s", strerror(errno));
	}
	if (limit.rlim_cur >= count + SPARE_FILES) {
		return true;
	}
	limit.rlim_cur = count + SPARE_FILES;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < limit.rlim_cur) {
		limit.rlim_max = limit.rlim_cur; /* root may */
	}
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ||
		   err_set(e, ERR_INTERNAL, "%u open files are not allowed here: raise the limit (ulimit -n)",
				   count + SPARE_FILES);
}

/* Rounds of one record each. Offsets are those of one producer, so the ledger is simple. */
static bool publish(void *context, watchers *w, watch_times *times, err *e)
{
	bench_log *l = context;
	uint32_t variant = (uint32_t)(l->ledger.count % payload_variants(l->payload));
	return watchers_publish(w, payload_request(l->payload, variant), times, e) &&
		   ledger_add(&l->ledger, (int64_t)l->ledger.count, 1, variant, e);
}

static void add_watch_row(bench *b, const bench_log *l, const watch_plan *plan, const watch_times *times,
						  const watch_window *window)
{
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "%s-%u", plan->name, plan->count);
	snprintf(row->what, sizeof row->what, "produce request sent to SSE event, %u watcher%s%s: p50", plan->count,
			 plan->count == 1 ? "" : "s", plan->where);
	snprintf(row->unit, sizeof row->unit, "ms");
	row->figure = milliseconds(&times->from_sent, 0.5);
	row->figure_at_most = plan->target_ms;
	snprintf(row->detail, sizeof row->detail,
			 "from sent: p50 %.3f, p99 %.3f ms, last watcher p50 %.3f ms; from acknowledged: p50 %.3f, p99 %.3f ms; n "
			 "%llu × %u",
			 milliseconds(&times->from_sent, 0.5), milliseconds(&times->from_sent, 0.99),
			 milliseconds(&times->last_from_sent, 0.5), milliseconds(&times->from_acknowledged, 0.5),
			 milliseconds(&times->from_acknowledged, 0.99), (unsigned long long)times->last_from_sent.count,
			 plan->count);
	row->verified = (uint64_t)l->ledger.end_offset;
	row->seconds = window->seconds;
	row->spent = window->spent;
}

/* The watchers of a plan, spread evenly over its servers. */
static bool add_all(const watch_plan *plan, const bench_log *l, watchers *w, err *e)
{
	uint32_t left = plan->count;
	for (size_t i = 0; i < plan->reader_count; i++) {
		uint32_t share = left / (uint32_t)(plan->reader_count - i);
		if (!add_watchers(plan->readers[i], l, w, share, e)) {
			return false;
		}
		left -= share;
	}
	return true;
}

bool bench_watch(bench *b, const watch_plan *plan, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	watchers *w = NULL;
	watch_times *times = calloc(1, sizeof *times);
	bench_progress("  %u watchers%s for %u s", plan->count, plan->where, b->options->seconds);
	if (times == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!bench_allow_files(plan->count, e) || !bench_log_new(b, "watch", 1, WATCH_VARIANTS, &l, e) ||
		!watchers_new(gateway_address(b->gateway), &STREAMING, plan->count, &w, e) || !add_all(plan, l, w, e)) {
		goto out;
	}
	watch_window window = {
		.publish = publish, .context = l, .sources = &b->sources, .measure_ms = (int64_t)b->options->seconds * 1000};
	if (!watchers_measure(w, &window, times, e) || !bench_log_verify(b, l, e)) {
		goto out;
	}
	add_watch_row(b, l, plan, times, &window);
	ok = true;
out:
	watchers_close(w);
	bench_log_free(l);
	free(times);
	return ok;
}

bool case_watch(bench *b, err *e)
{
	const struct {
		uint32_t count;
		double target_ms;
	} steps[] = {{1, 0.5}, {100, 1}, {1000, 2.5}};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		watch_plan plan = {.name = "watch",
						   .where = "",
						   .readers = {b->gateway},
						   .reader_count = 1,
						   .count = steps[i].count,
						   .target_ms = steps[i].target_ms};
		if (!bench_watch(b, &plan, e)) {
			return false;
		}
	}
	return true;
}

/* Resident memory of the server once things are quiet; 0 when it is not known which process that is. */
static bool resident(const bench *b, watchers *w, int64_t *bytes, err *e)
{
	if (!watchers_idle(w, SETTLE_MS, e)) {
		return false;
	}
	*bytes = 0;
	return b->sources.server == 0 || usage_resident_bytes(b->sources.server, bytes) ||
		   err_set(e, ERR_INVALID_REQUEST, "there is no process %d: --server-pid is wrong", (int)b->sources.server);
}

static void add_idle_rows(bench *b, const bench_log *l, uint32_t first, int64_t first_bytes, int64_t all_bytes,
						  const watch_times *times)
{
	uint32_t count = b->options->idle_watchers;
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "idle");
	snprintf(row->what, sizeof row->what, "SSE watchers on one worker, all told");
	snprintf(row->unit, sizeof row->unit, "watchers");
	row->figure = count;
	row->figure_at_least = 10000;
	snprintf(row->detail, sizeof row->detail, "one record to all of them: p50 %.1f, last %.1f ms",
			 milliseconds(&times->from_sent, 0.5), milliseconds(&times->last_from_sent, 0.5));
	row->verified = (uint64_t)l->ledger.end_offset;
	if (first_bytes > 0) {
		row = report_add(b->report);
		snprintf(row->name, sizeof row->name, "memory");
		snprintf(row->what, sizeof row->what, "memory per idle SSE watcher");
		snprintf(row->unit, sizeof row->unit, "KiB");
		row->figure = (double)(all_bytes - first_bytes) / 1024 / (count - first);
		row->figure_at_most = 16;
		snprintf(row->detail, sizeof row->detail, "resident memory of the server: %.1f MiB with %u, %.1f MiB with %u",
				 (double)first_bytes / 1048576, first, (double)all_bytes / 1048576, count);
	}
}

/* Memory is compared between a quarter of the watchers and all of them: what the server got for its first streams, or
 * kept from the cases before, is not the price of one more. */
bool case_idle(bench *b, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	watchers *w = NULL;
	int64_t first_bytes = 0;
	int64_t all_bytes = 0;
	uint32_t count = b->options->idle_watchers;
	uint32_t first = count / 4;
	watch_times *times = calloc(1, sizeof *times);
	if (times == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	bench_progress("  %u watchers", count);
	if (!bench_allow_files(count, e) || !bench_log_new(b, "idle", 1, WATCH_VARIANTS, &l, e) ||
		!watchers_new(gateway_address(b->gateway), &STREAMING, count, &w, e) ||
		!add_watchers(b->gateway, l, w, first, e) || !publish(l, w, times, e) || !resident(b, w, &first_bytes, e) ||
		!add_watchers(b->gateway, l, w, count - first, e) || !resident(b, w, &all_bytes, e)) {
		goto out;
	}
	*times = (watch_times){0};
	for (int i = 0; i < IDLE_ROUNDS; i++) {
		if (!publish(l, w, times, e)) {
			goto out;
		}
	}
	if (!bench_log_verify(b, l, e)) {
		goto out;
	}
	add_idle_rows(b, l, first, first_bytes, all_bytes, times);
	ok = true;
out:
	watchers_close(w);
	bench_log_free(l);
	free(times);
	return ok;
}
