/*
 * base/str: a view of bytes: pointer and length, not NUL-terminated.
 *
 * Owns     nothing; a view is valid as long as what it points into.
 * Threads  any.
 * Errors   parsers return false and leave *out untouched.
 */
#ifndef TIDEGATE_BASE_STR_H
#define TIDEGATE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct str {
	const char *ptr; /* may be NULL when len is 0; NULL also stands for "absent" where a caller says so */
	size_t len;      /* bytes */
} str;

#define STR(literal) ((str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((str){NULL, 0})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

str str_from_c(const char *text); /* NULL gives STR_NONE */
bool str_equal(str a, str b);
bool str_equal_ignore_case(str a, str b); /* ASCII letters only */
bool str_starts_with(str s, str prefix);
bool str_ends_with(str s, str suffix);
int str_compare(str a, str b); /* bytewise, shorter first on a tie */
str str_trim(str s);           /* drops spaces and tabs at both ends */
str str_skip(str s, size_t n); /* without its first n bytes; empty when n passes the end */
str str_take(str s, size_t n); /* its first n bytes, or all */
/* Splits at the first `stop`; without one *head is all of s, *tail is STR_NONE and the answer is false. */
bool str_split(str s, char stop, str *head, str *tail);
bool str_find(str s, str needle, size_t *at);

/* Decimal digits only, no sign, no spaces, at most max. */
bool str_parse_u64(str s, uint64_t max, uint64_t *out);
/* As above with an optional leading '-'. */
bool str_parse_i64(str s, int64_t min, int64_t max, int64_t *out);
/* true/1 and false/0 only. */
bool str_parse_bool(str s, bool *out);

#endif
