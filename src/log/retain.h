/*
 * log/retain: what a partition loses to age and caps. Loss moves a floor in the head; the rows go later (log/janitor).
 *
 * Caps count live records and their bytes exactly, also where the cut falls inside a row. Expiry takes whole rows: all
 * records of a row have one commit time.
 *
 * Threads  the one that was given conn, inside a transaction that holds the head's lock. The head is changed in memory
 * only; the caller writes it with head_update. Errors: those of db/conn.
 */
#ifndef TIDEGATE_LOG_RETAIN_H
#define TIDEGATE_LOG_RETAIN_H

#include "log/head.h"

/* Moves ttl_floor past what has expired. */
bool retain_expire(db_conn *conn, int64_t topic_id, head *h, const head_rules *rules, err *e) MUST_CHECK;
/* Moves cap_floor until live records and bytes are within the caps (only when rules->discard_old). */
bool retain_evict(db_conn *conn, int64_t topic_id, head *h, const head_rules *rules, err *e) MUST_CHECK;

/* A transaction of its own: locks one head, writes down what a crash took, expires and evicts. */
bool retain_settle(db_conn *conn, int64_t topic_id, int32_t partition, err *e) MUST_CHECK;

#endif
