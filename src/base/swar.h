/*
 * base/swar: eight bytes a step, in plain C. For text, jscan and jwrite; nobody else needs it.
 *
 * Threads  any. Reads stay inside [at, end).
 */
#ifndef TIDEGATE_BASE_SWAR_H
#define TIDEGATE_BASE_SWAR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SWAR_ONES  UINT64_C(0x0101010101010101)
#define SWAR_HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t swar_load(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word); /* at has no alignment */
	return word;
}

/* Not 0 exactly when a byte of the word is below n (1 to 128): it borrows, and had no high bit itself. */
static inline uint64_t swar_below(uint64_t word, uint8_t n)
{
	return (word - SWAR_ONES * n) & ~word & SWAR_HIGHS;
}

static inline uint64_t swar_has(uint64_t word, char byte)
{
	return swar_below(word ^ SWAR_ONES * (uint8_t)byte, 1);
}

/* What ends a run of plain bytes in a JSON string: quote, backslash, control character. */
static inline bool swar_is_json_special(char byte)
{
	return byte == '"' || byte == '\\' || (unsigned char)byte < 0x20;
}

/* The first such byte, or end. */
static inline const char *swar_json_plain_end(const char *at, const char *end)
{
	while (end - at >= 8) {
		uint64_t word = swar_load(at);
		if ((swar_below(word, 0x20) | swar_has(word, '"') | swar_has(word, '\\')) != 0) {
			break;
		}
		at += 8;
	}
	while (at < end && !swar_is_json_special(*at)) {
		at++;
	}
	return at;
}

#endif
