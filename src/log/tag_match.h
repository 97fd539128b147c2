/*
 * log/tag_match: which tags a delete or a router means: one tag exactly, or all that begin alike. Bytes, no patterns.
 *
 * Owns     nothing: the text is the caller's.
 * Threads  any.
 */
#ifndef TIDEGATE_LOG_TAG_MATCH_H
#define TIDEGATE_LOG_TAG_MATCH_H

#include "base/str.h"

typedef enum log_tag_match_kind { LOG_TAG_EQUAL, LOG_TAG_PREFIX } log_tag_match_kind;

typedef struct log_tag_match {
	log_tag_match_kind kind;
	str text; /* the tag, or what it begins with; "" as a prefix: any tag */
} log_tag_match;

/* A record without a tag (ptr NULL) never matches. */
bool log_tag_matches(const log_tag_match *m, str tag);

#endif
