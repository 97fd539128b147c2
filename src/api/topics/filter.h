/*
 * api/topics/filter: `match` of a delete and `filter` of a router, read and written:
 * ["tag","Eq","v"], ["tag","Glob","p*"], or a bare string, which is a Glob when it ends in '*'.
 *
 * Only the last '*' of a Glob is special. Errors stick in the body: ERR_INVALID_REQUEST.
 */
#ifndef TIDEGATE_API_TOPICS_FILTER_H
#define TIDEGATE_API_TOPICS_FILTER_H

#include "api/body.h"
#include "log/tag_match.h"

/* The member's value; the text lives as long as the body or its arena. A null is the caller's to look for. */
void filter_read(body *b, const char *name, log_tag_match *out);
/* The form with three elements. */
void filter_write(buf *out, const log_tag_match *m);

#endif
