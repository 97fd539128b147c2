#include "api/httpmq/stream_body.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/wire.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MAX_AGE_NS_LEAST = 100 * HTTPMQ_NS_PER_MS };

/* One of the limits, if the key names one; otherwise the value is still to be read. */
static bool read_limit(body *b, str key, httpmq_limits *l)
{
	const struct {
		const char *name;
		int64_t *to;
		int64_t most;
	} numbers[] = {
		{"max_consumers", &l->max_consumers, INT64_MAX},
		{"max_msgs", &l->max_msgs, INT64_MAX},
		{"max_bytes", &l->max_bytes, INT64_MAX},
		{"max_age", &l->max_age_ns, INT64_MAX},
		{"max_msgs_per_subject", &l->max_msgs_per_subject, INT64_MAX},
		{"max_msg_size", &l->max_msg_size, INT32_MAX},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		if (httpmq_key_is(key, numbers[i].name)) {
			body_integer(b, numbers[i].name, -numbers[i].most - 1, numbers[i].most, numbers[i].to);
			return true;
		}
	}
	return false;
}

/* 0 means what -1 means. */
static bool settle_limit(const char *name, int64_t *limit, err *e)
{
	if (*limit < -1) {
		return err_set(e, ERR_REFUSED, "%s must be -1 (no limit) or more", name);
	}
	*limit = *limit == 0 ? -1 : *limit;
	return true;
}

static bool settle_limits(httpmq_limits *l, err *e)
{
	if (l->max_age_ns != 0 && l->max_age_ns < MAX_AGE_NS_LEAST) {
		return err_set(e, ERR_REFUSED, "max_age must be 0 (no limit), or at least %d nanoseconds", MAX_AGE_NS_LEAST);
	}
	return settle_limit("max_consumers", &l->max_consumers, e) && settle_limit("max_msgs", &l->max_msgs, e) &&
		   settle_limit("max_bytes", &l->max_bytes, e) &&
		   settle_limit("max_msgs_per_subject", &l->max_msgs_per_subject, e) &&
		   settle_limit("max_msg_size", &l->max_msg_size, e);
}

/* ---- subjects ---- */

static void read_subjects(body *b, str *list, size_t *count)
{
	*count = 0;
	if (!body_array(b, "subjects")) {
		return;
	}
	while (body_next_element(b)) {
		if (*count == HTTPMQ_SUBJECTS_MAX) {
			body_refuse(b, "subjects", "a shorter list");
			return;
		}
		list[*count] = STR("");
		if (!body_null(b)) {
			body_text(b, "subjects", &list[*count]);
		}
		*count += 1;
	}
}

static int compare_subjects(const void *left, const void *right)
{
	return str_compare(*(const str *)left, *(const str *)right);
}

static bool check_subjects(http_exchange *x, const str *list, size_t count, err *e)
{
	str *sorted = arena_alloc_array(http_arena(x), count + 1, sizeof *sorted);
	if (sorted == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		if (!httpmq_subject_is_valid(list[i])) {
			return err_set(e, ERR_REFUSED,
						   "a subject is words of letters, digits and '-', or '*', joined by dots; \"%.*s\" is not",
						   STR_ARG(str_take(list[i], 100)));
		}
		sorted[i] = list[i];
	}
	qsort(sorted, count, sizeof *sorted, compare_subjects);
	for (size_t i = 1; i < count; i++) {
		if (str_equal(sorted[i - 1], sorted[i])) {
			return err_set(e, ERR_REFUSED, "the subject \"%.*s\" is there twice; name it once",
						   STR_ARG(str_take(sorted[i], 100)));
		}
	}
	return true;
}

static str *new_list(http_exchange *x, err *e)
{
	str *list = arena_alloc_array(http_arena(x), HTTPMQ_SUBJECTS_MAX, sizeof *list);
	if (list == NULL) {
		err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	return list;
}

bool stream_body_read_subjects(http_exchange *x, const str **out, size_t *count, err *e)
{
	body b;
	str key;
	str *list = new_list(x, e);
	size_t found = 0;
	if (list == NULL || !httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "subjects")) {
			read_subjects(&b, list, &found);
		} else {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b)) {
		return false;
	}
	if (found == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "subjects must be a list of at least one subject");
	}
	*out = list;
	*count = found;
	return check_subjects(x, list, found, e);
}

/* ---- streams ---- */

bool stream_body_read_limits(http_exchange *x, httpmq_limits *limits, err *e)
{
	body b;
	str key;
	httpmq_limits wanted = *limits;
	if (!httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (!read_limit(&b, key, &wanted)) {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b) || !settle_limits(&wanted, e)) {
		return false;
	}
	if (wanted.max_consumers != limits->max_consumers) {
		return err_set(e, ERR_REFUSED, "max_consumers is fixed when a stream is created");
	}
	*limits = wanted;
	return true;
}

bool stream_body_read(http_exchange *x, httpmq_stream *out, err *e)
{
	body b;
	str key;
	str *list = new_list(x, e);
	httpmq_stream s = {.limits = {-1, -1, -1, 0, -1, -1}};
	if (list == NULL || !httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "name")) {
			body_text(&b, "name", &s.name);
		} else if (httpmq_key_is(key, "subjects")) {
			read_subjects(&b, list, &s.subject_count);
		} else if (!read_limit(&b, key, &s.limits)) {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b)) {
		return false;
	}
	if (!httpmq_name_is_valid(s.name) || s.name.len > HTTPMQ_NAME_MAX) {
		return err_set(e, ERR_REFUSED, "name must be letters and digits, at most %d, or a UUID in lower case",
					   HTTPMQ_NAME_MAX);
	}
	if (s.subject_count == 0) {
		list[0] = s.name;
		s.subject_count = 1;
	}
	s.subjects = list;
	*out = s;
	return settle_limits(&out->limits, e) && check_subjects(x, list, s.subject_count, e);
}
