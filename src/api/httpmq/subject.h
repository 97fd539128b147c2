/*
 * api/httpmq/subject: names, subjects and patterns of subjects.
 *
 * A subject is tokens joined by dots. In a pattern the token `*` stands for any one token, and a last token `>` (filters
 * only) for one or more. Bytes, case-sensitive.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_HTTPMQ_SUBJECT_H
#define TIDEGATE_API_HTTPMQ_SUBJECT_H

#include "base/buf.h"

/* Letters and digits, or a UUID in lower case. Its length is the caller's to check. */
bool httpmq_name_is_valid(str name);

/* What a stream, a publisher and a subscriber may name: no empty token, no special character but `*`, at most
 * HTTPMQ_SUBJECT_MAX bytes of UTF-8. */
bool httpmq_subject_is_valid(str subject);
bool httpmq_subject_has_wildcard(str subject); /* a token `*` */

/* Whether a pattern (a filter, too) stands for the subject. */
bool httpmq_subject_matches(str pattern, str subject);
/* Whether some subject is matched by both; neither has `>`. */
bool httpmq_subject_overlaps(str a, str b);
/* A consumer's filter against one subject of its stream: it asks for a part of it, or, with a wildcard, for all. */
bool httpmq_filter_fits(str filter, str pattern);
/* The filter as a regular expression of Postgres for encode(tag, 'escape'): a tag of another API may be no text. */
void httpmq_filter_regex(buf *out, str filter);

#endif
