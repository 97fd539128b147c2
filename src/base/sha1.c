#include "base/sha1.h"

#include <string.h>

enum { BLOCK_BYTES = 64, LENGTH_BYTES = 8, WORDS = 80 };

static uint32_t rotate(uint32_t word, unsigned bits)
{
	return word << bits | word >> (32 - bits);
}

static uint32_t load_be(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_be(unsigned char *at, uint32_t word)
{
	for (unsigned i = 0; i < 4; i++) {
		at[i] = (unsigned char)(word >> (24 - 8 * i));
	}
}

static void mix(uint32_t state[5], const unsigned char *block)
{
	uint32_t w[WORDS];
	uint32_t a = state[0];
	uint32_t b = state[1];
	uint32_t c = state[2];
	uint32_t d = state[3];
	uint32_t e = state[4];
	for (unsigned i = 0; i < WORDS; i++) {
		w[i] = i < 16 ? load_be(block + 4 * (size_t)i) : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	}
	for (unsigned i = 0; i < WORDS; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
					 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
					 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
							  : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t next = rotate(a, 5) + f + e + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

void sha1(str text, unsigned char out[SHA1_BYTES])
{
	uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char last[2 * BLOCK_BYTES] = {0};
	str rest = text;
	for (; rest.len >= BLOCK_BYTES; rest = str_skip(rest, BLOCK_BYTES)) {
		mix(state, (const unsigned char *)rest.ptr);
	}
	if (rest.len > 0) {
		memcpy(last, rest.ptr, rest.len);
	}
	last[rest.len] = 0x80;
	size_t padded = rest.len + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
	uint64_t bits = (uint64_t)text.len * 8;
	store_be(last + padded - 8, (uint32_t)(bits >> 32));
	store_be(last + padded - 4, (uint32_t)bits);
	for (size_t i = 0; i < padded; i += BLOCK_BYTES) {
		mix(state, last + i);
	}
	for (size_t i = 0; i < 5; i++) {
		store_be(out + 4 * i, state[i]);
	}
}
