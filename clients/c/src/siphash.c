/* SipHash-2-4 with keys 0 and 0 over the key's length and bytes: which partition a key belongs to. */
#include "tidegate.h"

typedef struct state {
	uint64_t a, b, c, d;
} state;

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(state *s, int rounds)
{
	for (; rounds > 0; rounds--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32) + s->d;
		s->c += s->b;
		s->d = rotate(s->d, 21) ^ s->a;
		s->b = rotate(s->b, 17) ^ s->c;
		s->c = rotate(s->c, 32);
	}
}

static void absorb(state *s, uint64_t word)
{
	s->d ^= word;
	mix(s, 2);
	s->a ^= word;
}

static uint64_t little_endian(const unsigned char *bytes, size_t count)
{
	uint64_t word = 0;
	for (size_t i = count; i-- > 0;) {
		word = word << 8 | bytes[i];
	}
	return word;
}

uint64_t tg_key_hash(const void *key, size_t key_len)
{
	const unsigned char *bytes = key_len > 0 ? key : (const void *)"";
	/* The algorithm's own four constants; keys of 0 leave them as they are. */
	state s = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573};
	size_t at = 0;
	absorb(&s, key_len);
	for (; key_len - at >= 8; at += 8) {
		absorb(&s, little_endian(bytes + at, 8));
	}
	absorb(&s, little_endian(bytes + at, key_len - at) | (uint64_t)(key_len + 8) << 56);
	s.c ^= 0xFF;
	mix(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}

uint32_t tg_partition_for_key(const void *key, size_t key_len, uint32_t partition_count)
{
	return partition_count == 0 ? 0 : (uint32_t)(tg_key_hash(key, key_len) % partition_count);
}
