/*
 * db/url: connection strings and URIs of libpq, taken apart and put together by libpq's own rules.
 *
 * Threads  any.
 * Errors   ERR_INVALID_REQUEST the text is none, or too long.
 */
#ifndef TIDEGATE_DB_URL_H
#define TIDEGATE_DB_URL_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the same connection to another database of that server, as a connection string. May hold a password. */
bool db_url_with_database(str url, str database, buf *out, err *e) MUST_CHECK;

#endif
