/*
 * base/siphash: SipHash-2-4 with key 0,0, and the key-to-partition rule built on it. Threads: any.
 *
 * The rule is the clients' (a wire contract): hash the 8-byte little-endian length, then the bytes.
 */
#ifndef TIDEGATE_BASE_SIPHASH_H
#define TIDEGATE_BASE_SIPHASH_H

#include "base/str.h"

uint64_t siphash_key(str key);
uint32_t siphash_partition(str key, uint32_t partition_count); /* partition_count > 0 */

#endif
