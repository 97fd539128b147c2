/*
 * api/httpmq/subject: two patterns and a subject, a line each. Whatever they are, the functions agree with one another.
 */
#include "fuzz.h"

#include "api/httpmq/subject.h"

#include <string.h>

enum { REGEX_MAX = 1 << 20 };

/* Whether a filter may stand where a stream's subject stands. */
static bool is_plain(str pattern)
{
	return httpmq_subject_is_valid(pattern);
}

static void try_pair(str a, str b)
{
	FUZZ_CHECK(httpmq_subject_overlaps(a, b) == httpmq_subject_overlaps(b, a));
	/* What matches a pattern's own text as a subject overlaps with it. */
	if (is_plain(a) && is_plain(b) && httpmq_subject_matches(a, b)) {
		FUZZ_CHECK(httpmq_subject_overlaps(a, b));
		FUZZ_CHECK(httpmq_filter_fits(b, a));
	}
}

/* A subject that both match is an overlap; without wildcards, matching is being equal. */
static void try_subject(str a, str b, str subject)
{
	if (!is_plain(a) || !is_plain(b) || !is_plain(subject) || httpmq_subject_has_wildcard(subject)) {
		return;
	}
	if (httpmq_subject_matches(a, subject) && httpmq_subject_matches(b, subject)) {
		FUZZ_CHECK(httpmq_subject_overlaps(a, b));
	}
	if (!httpmq_subject_has_wildcard(a)) {
		FUZZ_CHECK(httpmq_subject_matches(a, subject) == str_equal(a, subject));
		FUZZ_CHECK(httpmq_subject_overlaps(a, subject) == str_equal(a, subject));
	}
	FUZZ_CHECK(httpmq_subject_matches(STR(">"), subject));
	FUZZ_CHECK(httpmq_subject_overlaps(a, subject) == httpmq_subject_matches(a, subject));
}

/* The regular expression is anchored at both ends and has as many separators as the filter. */
static void try_regex(str filter)
{
	buf regex;
	size_t dots = 0;
	size_t separators = 0;
	buf_init(&regex, REGEX_MAX);
	httpmq_filter_regex(&regex, filter);
	str text = buf_str(&regex);
	FUZZ_CHECK(!regex.failed && text.len >= 2 && text.ptr[0] == '^' && text.ptr[text.len - 1] == '$');
	for (size_t i = 0; i < filter.len; i++) {
		dots += filter.ptr[i] == '.';
	}
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.ptr[i] == '\\') {
			i++;
			separators += text.ptr[i] == '.';
		}
	}
	FUZZ_CHECK(dots == separators);
	buf_dispose(&regex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str a;
	str b;
	str subject = {(const char *)data, size};
	(void)str_split(subject, '\n', &a, &subject);
	(void)str_split(subject, '\n', &b, &subject);
	(void)httpmq_name_is_valid(a);
	try_pair(a, b);
	try_subject(a, b, subject);
	try_regex(a);
	return 0;
}
