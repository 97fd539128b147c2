/*
 * http/request: the steps from complete headers to the handler, the same for every transport.
 *
 *   request_begin ─▶ (gate, when request_is_gated) ─▶ request_accept ─▶ request_take_body … request_end_body ─▶ handler
 *
 * A step that returns false has ended the exchange with a reply (x->ending is ENDING_REPLIED): the transport sends it.
 *
 * Threads  the transport's, between turns.
 */
#ifndef TIDEGATE_HTTP_REQUEST_H
#define TIDEGATE_HTTP_REQUEST_H

#include "http/exchange_impl.h"

/* method_text, target and headers are filled in: judges them and finds the route. */
bool request_begin(http_exchange *x) MUST_CHECK;
bool request_is_gated(const http_exchange *x);
/* After the gate: 404, 405, OPTIONS, 413 and 415, then ready for the body. */
bool request_accept(http_exchange *x) MUST_CHECK;
bool request_take_body(http_exchange *x, str piece) MUST_CHECK;
bool request_end_body(http_exchange *x) MUST_CHECK;
/* Replies with an error in the application's place; returns false. */
bool request_refuse(http_exchange *x, const err *e);

#endif
