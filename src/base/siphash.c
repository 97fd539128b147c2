#include "base/siphash.h"

typedef struct sip {
	uint64_t v0, v1, v2, v3;
} sip;

static uint64_t rotate_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v2 = rotate_left(s->v2, 32);
}

static void sip_block(sip *s, uint64_t block)
{
	s->v3 ^= block;
	sip_round(s);
	sip_round(s);
	s->v0 ^= block;
}

/* Up to 8 bytes, little-endian. */
static uint64_t load(const char *bytes, size_t count)
{
	uint64_t word = 0;
	for (size_t i = 0; i < count; i++) {
		word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
	}
	return word;
}

uint64_t siphash_key(str key)
{
	/* "somepseudorandomlygeneratedbytes", as SipHash defines it, with key 0,0 mixed in. */
	sip s = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573};
	sip_block(&s, key.len);
	size_t whole = key.len / 8 * 8;
	for (size_t at = 0; at < whole; at += 8) {
		sip_block(&s, load(key.ptr + at, 8));
	}
	uint64_t tail = key.len > whole ? load(key.ptr + whole, key.len - whole) : 0;
	/* The last block ends with the message's length mod 256; the message has 8 bytes more than the key. */
	sip_block(&s, tail | (uint64_t)(key.len + 8) << 56);
	s.v2 ^= 0xFF;
	for (int i = 0; i < 4; i++) {
		sip_round(&s);
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint32_t siphash_partition(str key, uint32_t partition_count)
{
	return (uint32_t)(siphash_key(key) % partition_count);
}
