/*
 * http/certificate: the certificate and the key of TLS listeners, from PEM files, read again when a file changes.
 *
 * TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only, no renegotiation, no compression; HTTP/2 and
 * HTTP/1.1 by ALPN. Sessions are resumed by tickets that this process alone can read.
 *
 * Owns     the pair in force. Connections keep the one they began with.
 * Threads  certificate_look: one. certificate_session: any.
 * Errors   certificate_new: ERR_INVALID_REQUEST names the file and what is wrong with it; ERR_NO_MEMORY. Later a pair that
 *          cannot be used leaves the one before in force; the log and a metric say so.
 */
#ifndef TIDEGATE_HTTP_CERTIFICATE_H
#define TIDEGATE_HTTP_CERTIFICATE_H

#include "base/err.h"
#include "base/metric.h"
#include "base/slog.h"

#include <openssl/types.h>

typedef struct certificate certificate;

bool certificate_new(str certificate_file, str key_file, slog *log, metric_registry *metrics, certificate **out,
					 err *e) MUST_CHECK;
void certificate_free(certificate *c); /* accepts NULL */
/* Reads the files again when they have changed; looks once a second at most. */
void certificate_look(certificate *c, int64_t now_ms);
/* A server's side of a new connection. NULL: no memory. */
SSL *certificate_session(certificate *c);

#endif
