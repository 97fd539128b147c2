#include "base/metric.h"
#include "failing_memory.h"
#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static char rendered[4 << 20];

static const char *render(metric_registry *r)
{
	buf b;
	buf_init(&b, sizeof rendered - 1);
	metric_render(r, &b);
	ck_assert(!b.failed);
	memcpy(rendered, b.ptr, b.len);
	rendered[b.len] = '\0';
	buf_dispose(&b);
	return rendered;
}

static bool renders(metric_registry *r, const char *text)
{
	return strstr(render(r), text) != NULL;
}

START_TEST(counters_and_gauges_hold_their_value)
{
	metric_registry *r = metric_registry_new();
	metric *c = metric_counter(r, "requests_total", "Requests.", NULL);
	metric *g = metric_gauge(r, "open_streams", "Streams.", NULL);
	metric_add(c, 2);
	metric_add(c, 3);
	metric_set(g, 10);
	metric_add(g, -11);
	ck_assert_int_eq(metric_value(c), 5);
	ck_assert_int_eq(metric_value(g), -1);
	ck_assert_uint_eq(metric_sum(c), 0);
	ck_assert(renders(r, "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total 5\n"));
	ck_assert(renders(r, "# TYPE open_streams gauge\nopen_streams -1\n"));
	metric_registry_free(r);
}
END_TEST

START_TEST(the_same_name_and_labels_are_the_same_metric)
{
	metric_registry *r = metric_registry_new();
	char name[] = "requests_total";
	char labels[] = "status=\"200\"";
	metric *a = metric_counter(r, name, "Requests.", labels);
	labels[8] = '4';
	metric *b = metric_counter(r, name, "Requests.", labels);
	name[0] = 'X'; /* texts were copied */
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_eq(metric_counter(r, "requests_total", "Other help.", "status=\"200\""), a);
	ck_assert_ptr_eq(metric_counter(r, "requests_total", "Requests.", "status=\"400\""), b);
	ck_assert_ptr_ne(metric_counter(r, "requests_total", "Requests.", NULL), a);
	ck_assert_ptr_eq(metric_counter(r, "requests_total", "Requests.", ""),
					 metric_counter(r, "requests_total", "Requests.", NULL));
	metric_registry_free(r);
}
END_TEST

START_TEST(a_family_is_rendered_together_under_one_head)
{
	metric_registry *r = metric_registry_new();
	metric_add(metric_counter(r, "a_total", "A.", "x=\"1\""), 1);
	metric_add(metric_counter(r, "b_total", "B.", NULL), 2);
	metric_add(metric_counter(r, "a_total", "A.", "x=\"2\""), 3);
	ck_assert(renders(
		r, "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\"} 1\na_total{x=\"2\"} 3\n# HELP b_total B.\n"
		   "# TYPE b_total counter\nb_total 2\n"));
	metric_registry_free(r);
}
END_TEST

START_TEST(help_is_escaped)
{
	metric_registry *r = metric_registry_new();
	metric_counter(r, "a_total", "one\ntwo\\three", NULL);
	ck_assert(renders(r, "# HELP a_total one\\ntwo\\\\three\n"));
	metric_registry_free(r);
}
END_TEST

START_TEST(observations_land_in_the_bucket_of_their_bound)
{
	const struct {
		uint64_t value;
		int bucket; /* le = 2^bucket; 32 = +Inf */
	} cases[] = {{0, 0},
				 {1, 0},
				 {2, 1},
				 {3, 2},
				 {4, 2},
				 {5, 3},
				 {1024, 10},
				 {1025, 11},
				 {UINT64_C(1) << 31, 31},
				 {(UINT64_C(1) << 31) + 1, 32},
				 {INT64_MAX, 32}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		metric_registry *r = metric_registry_new();
		metric *h = metric_histogram(r, "batch_records", "Records.", NULL, false);
		metric_observe(h, cases[i].value);
		ck_assert_int_eq(metric_value(h), 1);
		ck_assert_uint_eq(metric_sum(h), cases[i].value);
		const char *text = render(r);
		for (int bound = 0; bound <= 32; bound++) {
			char line[100];
			if (bound < 32) {
				snprintf(line, sizeof line, "batch_records_bucket{le=\"%llu\"} %d\n", 1ULL << bound,
						 bound >= cases[i].bucket);
			} else {
				snprintf(line, sizeof line, "batch_records_bucket{le=\"+Inf\"} 1\n");
			}
			ck_assert_msg(strstr(text, line) != NULL, "case %zu: no %s", i, line);
		}
		ck_assert_ptr_null(strstr(text, "{le=\"4294967296\"}"));
		metric_registry_free(r);
	}
}
END_TEST

START_TEST(buckets_are_cumulative_and_end_with_sum_and_count)
{
	metric_registry *r = metric_registry_new();
	metric *h = metric_histogram(r, "batch_bytes", "Bytes.", "kind=\"x\"", false);
	metric_observe(h, 1);
	metric_observe(h, 2);
	metric_observe(h, 2);
	metric_observe(h, 1000);
	ck_assert(renders(r, "# TYPE batch_bytes histogram\nbatch_bytes_bucket{kind=\"x\",le=\"1\"} 1\n"
						 "batch_bytes_bucket{kind=\"x\",le=\"2\"} 3\nbatch_bytes_bucket{kind=\"x\",le=\"4\"} 3\n"));
	ck_assert(renders(r, "batch_bytes_bucket{kind=\"x\",le=\"+Inf\"} 4\nbatch_bytes_sum{kind=\"x\"} 1005\n"
						 "batch_bytes_count{kind=\"x\"} 4\n"));
	ck_assert_int_eq(metric_value(h), 4);
	metric_registry_free(r);
}
END_TEST

START_TEST(a_histogram_of_seconds_is_fed_microseconds)
{
	metric_registry *r = metric_registry_new();
	metric *h = metric_histogram(r, "wait_seconds", "Wait.", NULL, true);
	metric_observe(h, 1500000);
	ck_assert(renders(r, "wait_seconds_bucket{le=\"0.000001\"} 0\n"));
	ck_assert(renders(r, "wait_seconds_bucket{le=\"1.048576\"} 0\nwait_seconds_bucket{le=\"2.097152\"} 1\n"));
	ck_assert(renders(r, "wait_seconds_bucket{le=\"2147.483648\"} 1\n"));
	ck_assert(renders(r, "wait_seconds_sum 1.500000\nwait_seconds_count 1\n"));
	metric_registry_free(r);
}
END_TEST

START_TEST(a_name_of_another_type_gives_the_overflow_metric)
{
	metric_registry *r = metric_registry_new();
	metric *c = metric_counter(r, "a_total", "A.", NULL);
	metric *overflow = metric_gauge(r, "a_total", "A.", NULL);
	ck_assert_ptr_ne(overflow, c);
	ck_assert_ptr_eq(metric_histogram(r, "a_total", "A.", "x=\"1\"", true), overflow);
	metric_add(overflow, 5); /* whatever is done to it harms nothing */
	metric_set(overflow, 5);
	metric_observe(overflow, 5);
	ck_assert_int_eq(metric_value(c), 0);
	ck_assert(renders(r, "\na_total 0\n"));
	ck_assert(renders(r, "\ntidegate_metrics_refused_total 2\n"));
	metric_registry_free(r);
}
END_TEST

START_TEST(observing_what_is_no_histogram_is_ignored)
{
	metric_registry *r = metric_registry_new();
	metric *c = metric_counter(r, "a_total", "A.", NULL);
	metric_observe(c, 5);
	ck_assert_int_eq(metric_value(c), 0);
	metric_registry_free(r);
}
END_TEST

START_TEST(beyond_4096_metrics_all_share_one)
{
	metric_registry *r = metric_registry_new();
	char labels[32];
	metric *made[4098];
	for (int i = 0; i < 4098; i++) {
		snprintf(labels, sizeof labels, "i=\"%d\"", i);
		made[i] = metric_counter(r, "many_total", "Many.", labels);
		metric_add(made[i], i);
	}
	ck_assert_ptr_eq(made[4096], made[4097]);
	ck_assert_ptr_ne(made[4095], made[4096]);
	for (int i = 0; i < 4096; i++) {
		ck_assert_int_eq(metric_value(made[i]), i);
	}
	ck_assert_ptr_eq(metric_counter(r, "many_total", "Many.", "i=\"77\""), made[77]);
	ck_assert(renders(r, "many_total{i=\"4095\"} 4095\n"));
	ck_assert(!renders(r, "i=\"4096\""));
	ck_assert(renders(r, "\ntidegate_metrics_refused_total 2\n"));
	metric_registry_free(r);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000 };

static void *hammer(void *argument)
{
	metric_registry *r = argument;
	for (int i = 0; i < ROUNDS; i++) {
		metric_add(metric_counter(r, "adds_total", "Adds.", NULL), 1);
		metric_observe(metric_histogram(r, "seen", "Seen.", NULL, false), (uint64_t)i % 10);
	}
	return NULL;
}

START_TEST(threads_lose_nothing)
{
	metric_registry *r = metric_registry_new();
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, hammer, r);
	}
	for (int i = 0; i < 20; i++) {
		render(r);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	ck_assert_int_eq(metric_value(metric_counter(r, "adds_total", "Adds.", NULL)), THREADS * ROUNDS);
	const metric *h = metric_histogram(r, "seen", "Seen.", NULL, false);
	ck_assert_int_eq(metric_value(h), THREADS * ROUNDS);
	ck_assert_uint_eq(metric_sum(h), THREADS * (ROUNDS / 10) * 45);
	metric_registry_free(r);
}
END_TEST

/* The result is not NULL without memory either, only the registry itself can be. */
static bool make_some(void)
{
	metric_registry *r = metric_registry_new();
	if (r == NULL) {
		return false;
	}
	metric *a = metric_counter(r, "a_total", "A.", NULL);
	metric *b = metric_histogram(r, "b_seconds", "B.", "x=\"1\"", true);
	if (a == NULL || b == NULL) {
		abort();
	}
	metric_add(a, 1);
	metric_observe(b, 1);
	buf out;
	buf_init(&out, 1 << 20);
	metric_render(r, &out);
	bool is_whole = !out.failed && str_find(buf_str(&out), STR("refused_total 0\n"), &(size_t){0});
	buf_dispose(&out);
	metric_registry_free(r);
	return is_whole;
}

START_TEST(every_failed_allocation_gives_the_overflow_metric)
{
	FAIL_EVERY_ALLOCATION(make_some(), 12);
}
END_TEST

START_TEST(a_metric_can_be_made_once_memory_is_back)
{
	metric_registry *r = metric_registry_new();
	failing_memory_start(1);
	metric *refused = metric_counter(r, "a_total", "A.", NULL);
	failing_memory_stop();
	metric *made = metric_counter(r, "a_total", "A.", NULL);
	ck_assert_ptr_ne(made, refused);
	metric_add(made, 1);
	ck_assert(renders(r, "\na_total 1\n"));
	metric_registry_free(r);
	metric_registry_free(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		counters_and_gauges_hold_their_value,
		the_same_name_and_labels_are_the_same_metric,
		a_family_is_rendered_together_under_one_head,
		help_is_escaped,
		observations_land_in_the_bucket_of_their_bound,
		buckets_are_cumulative_and_end_with_sum_and_count,
		a_histogram_of_seconds_is_fed_microseconds,
		a_name_of_another_type_gives_the_overflow_metric,
		observing_what_is_no_histogram_is_ignored,
		beyond_4096_metrics_all_share_one,
		threads_lose_nothing,
		every_failed_allocation_gives_the_overflow_metric,
		a_metric_can_be_made_once_memory_is_back,
	};
	return SUITE_RUN("base/metric", tests);
}
