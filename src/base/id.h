/*
 * base/id: random identifiers from the kernel (getrandom). Threads: any.
 */
#ifndef TIDEGATE_BASE_ID_H
#define TIDEGATE_BASE_ID_H

#include "base/buf.h"

void id_random(void *out, size_t bytes); /* never fails: waits for the kernel's pool */
void id_append_base64url(buf *out, size_t random_bytes);
void id_append_uuid(buf *out); /* version 4, lower case */
uint64_t id_random_u64(void);

#endif
