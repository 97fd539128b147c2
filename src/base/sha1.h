/*
 * base/sha1: SHA-1 (RFC 3174) of a short text, for the handshake of WebSocket (RFC 6455), which protects nothing with
 * it. Not for secrets. Threads: any.
 */
#ifndef TIDEGATE_BASE_SHA1_H
#define TIDEGATE_BASE_SHA1_H

#include "base/str.h"

enum { SHA1_BYTES = 20 };

void sha1(str text, unsigned char out[SHA1_BYTES]);

#endif
