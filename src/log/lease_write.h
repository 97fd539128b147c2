/*
 * log/lease_write: entries of a lease book that changed become rows, together: in the pipeline that ends the
 * transaction, or before something else of it is read.
 *
 * Owns     nothing; the entries are the caller's, in the arena, until they are sent.
 * Threads  the one that was given the book's connection.
 * Limits   ARRAYS_BYTES_MAX of parameters a statement.
 * Errors   ERR_NO_MEMORY. Those of db/conn.
 */
#ifndef TIDEGATE_LOG_LEASE_WRITE_H
#define TIDEGATE_LOG_LEASE_WRITE_H

#include "log/lease_book.h"

/* The entries may change further until they are sent. */
bool lease_write_add(lease_book *b, lease_entry *entries, size_t count, err *e) MUST_CHECK;
/* In the open pipeline; *sent grows by the results that will come. */
bool lease_write_send(lease_book *b, size_t *sent, err *e) MUST_CHECK;

#endif
