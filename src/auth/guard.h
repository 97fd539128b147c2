/*
 * auth/guard: a server that asks for no credential stays on this machine. Threads: any.
 */
#ifndef TIDEGATE_AUTH_GUARD_H
#define TIDEGATE_AUTH_GUARD_H

#include "base/err.h"

/* "127.0.0.1:5470", "[::1]:80", "localhost:80"; everything else is taken for public, ":80" too. */
bool auth_address_is_loopback(str address);

/* False with ERR_INVALID_REQUEST when an address is public although neither is_required (auth_is_required) nor
 * allow_public holds; the message says what can be done. */
bool auth_guard_listen(const str *addresses, size_t count, bool is_required, bool allow_public, err *e) MUST_CHECK;

#endif
