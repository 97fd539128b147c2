/*
 * http/protocol: what a client speaks, by its first bytes. Threads: any.
 */
#ifndef TIDEGATE_HTTP_PROTOCOL_H
#define TIDEGATE_HTTP_PROTOCOL_H

#include "base/str.h"

typedef enum protocol {
	PROTOCOL_UNDECIDED, /* more bytes are needed */
	PROTOCOL_HTTP1,     /* also whatever is nothing else: HTTP/1.1 has words for what it does not understand */
	PROTOCOL_HTTP2,     /* with prior knowledge */
	PROTOCOL_TLS
} protocol;

enum { PROTOCOL_PREFIX_BYTES = 24 }; /* so many are always enough */

protocol protocol_tell(str first_bytes);

#endif
