#include "http/protocol.h"

#include <string.h>

enum { TLS_HANDSHAKE = 0x16, TLS_MAJOR_VERSION = 0x03 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
_Static_assert(sizeof PREFACE - 1 == PROTOCOL_PREFIX_BYTES, "the longest beginning that is looked for");

protocol protocol_tell(str first_bytes)
{
	str seen = str_take(first_bytes, PROTOCOL_PREFIX_BYTES);
	if (seen.len == 0) {
		return PROTOCOL_UNDECIDED;
	}
	if (seen.ptr[0] == TLS_HANDSHAKE) {
		return seen.len == 1 ? PROTOCOL_UNDECIDED : seen.ptr[1] == TLS_MAJOR_VERSION ? PROTOCOL_TLS : PROTOCOL_HTTP1;
	}
	if (memcmp(seen.ptr, PREFACE, seen.len) != 0) {
		return PROTOCOL_HTTP1;
	}
	/* "PR…" alone may still become either. */
	return seen.len == PROTOCOL_PREFIX_BYTES ? PROTOCOL_HTTP2 : PROTOCOL_UNDECIDED;
}
