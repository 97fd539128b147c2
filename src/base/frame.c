#include "base/frame.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frame {
	atomic_size_t references;
	size_t head_bytes; /* chunk header before the payload */
	size_t payload_bytes;
	char bytes[];
};

frame *frame_new(str payload)
{
	char head[2 * sizeof(size_t) + 3];
	if (payload.len == 0) {
		return NULL;
	}
	int head_bytes = snprintf(head, sizeof head, "%zx\r\n", payload.len);
	frame *f = malloc(sizeof *f + (size_t)head_bytes + payload.len + 2);
	if (f == NULL) {
		return NULL;
	}
	atomic_init(&f->references, 1);
	f->head_bytes = (size_t)head_bytes;
	f->payload_bytes = payload.len;
	memcpy(f->bytes, head, f->head_bytes);
	memcpy(f->bytes + f->head_bytes, payload.ptr, payload.len);
	memcpy(f->bytes + f->head_bytes + payload.len, "\r\n", 2);
	return f;
}

frame *frame_ref(frame *f)
{
	atomic_fetch_add_explicit(&f->references, 1, memory_order_relaxed);
	return f;
}

void frame_unref(frame *f)
{
	if (f != NULL && atomic_fetch_sub_explicit(&f->references, 1, memory_order_acq_rel) == 1) {
		free(f);
	}
}

str frame_payload(const frame *f)
{
	return (str){f->bytes + f->head_bytes, f->payload_bytes};
}

str frame_chunk(const frame *f)
{
	return (str){f->bytes, f->head_bytes + f->payload_bytes + 2};
}
