#include "base/id.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void id_random(void *out, size_t bytes)
{
	char *at = out;
	while (bytes > 0) {
		ssize_t got = getrandom(at, bytes, 0);
		if (got < 0 && errno != EINTR) {
			abort(); /* no kernel since 3.17 gets here; going on with guessable ids would be worse */
		}
		if (got > 0) {
			at += got;
			bytes -= (size_t)got;
		}
	}
}

void id_append_base64url(buf *out, size_t random_bytes)
{
	/* A multiple of 3, so that pieces join without padding. */
	char random[48];
	while (random_bytes > 0) {
		size_t piece = random_bytes < sizeof random ? random_bytes : sizeof random;
		id_random(random, piece);
		text_base64url_encode(out, (str){random, piece});
		random_bytes -= piece;
	}
}

void id_append_uuid(buf *out)
{
	unsigned char r[16];
	id_random(r, sizeof r);
	r[6] = (unsigned char)((r[6] & 0x0F) | 0x40); /* version 4 */
	r[8] = (unsigned char)((r[8] & 0x3F) | 0x80); /* the RFC's variant */
	buf_printf(out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3],
			   r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

uint64_t id_random_u64(void)
{
	uint64_t value;
	id_random(&value, sizeof value);
	return value;
}
