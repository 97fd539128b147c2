/*
 * api/topics/touch: when topics were last read. Every read counts, but writing each down would cost a commit a read: the
 * database learns it once a second and topic, this worker remembers the rest.
 *
 * A book has a fixed number of places; two topics that share one only cost more writes.
 *
 * Threads  any. Errors: those of log/state.
 */
#ifndef TIDEGATE_API_TOPICS_TOUCH_H
#define TIDEGATE_API_TOPICS_TOUCH_H

#include "api/api.h"
#include "log/state.h"

typedef struct touch_book touch_book;

touch_book *touch_book_new(void);    /* NULL when memory is out */
void touch_book_free(touch_book *b); /* accepts NULL */

/* The topic is being read now. */
bool touch_topic(touch_book *b, log_conn *conn, int64_t topic_id, err *e) MUST_CHECK;
/* Several, written down at once. */
bool touch_topics(touch_book *b, log_conn *conn, const int64_t *topic_ids, size_t count, err *e) MUST_CHECK;
/* By Postgres's clock; 0 = never. */
int64_t touch_last_read_ms(touch_book *b, const log_state *s);

#endif
