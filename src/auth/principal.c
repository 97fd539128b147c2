#include "auth/principal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/limit.h"

/* A counted principal is one allocation: the block, its prefixes, its texts. */
typedef struct auth_principal_block {
	atomic_uint_least32_t references;
	auth_principal principal;
	str prefixes[];
} auth_principal_block;

static const struct {
	const char *name;
	uint32_t scopes;
} SCOPE_WORDS[] = {
	{"read", AUTH_SCOPE_READ},     {"write", AUTH_SCOPE_WRITE},
	{"delete", AUTH_SCOPE_DELETE}, {"admin", AUTH_SCOPE_ADMIN},
	{"r", AUTH_SCOPE_READ},        {"w", AUTH_SCOPE_WRITE},
	{"d", AUTH_SCOPE_DELETE},      {"del", AUTH_SCOPE_DELETE},
	{"a", AUTH_SCOPE_ADMIN},       {"rw", AUTH_SCOPE_READ | AUTH_SCOPE_WRITE},
	{"all", AUTH_SCOPE_ALL},
};

/* The full names are the first ones, in the order of their bits. */
enum { SCOPE_COUNT = 4, SCOPE_WORD_COUNT = sizeof SCOPE_WORDS / sizeof SCOPE_WORDS[0] };

static size_t text_bytes(const auth_principal *p)
{
	size_t bytes = p->tenant.len + p->key_id.len;
	for (size_t i = 0; i < p->prefix_count; i++) {
		bytes += p->prefixes[i].len;
	}
	return bytes;
}

static str put_text(char **at, str text)
{
	str copy = {*at, text.len};
	if (text.len > 0) {
		memcpy(*at, text.ptr, text.len);
	}
	*at += text.len;
	return copy;
}

/* prefixes has room for from->prefix_count, texts for text_bytes(from). */
static void fill(auth_principal *to, const auth_principal *from, str *prefixes, char *texts)
{
	*to = *from;
	to->tenant = put_text(&texts, from->tenant);
	to->key_id = put_text(&texts, from->key_id);
	for (size_t i = 0; i < from->prefix_count; i++) {
		prefixes[i] = put_text(&texts, from->prefixes[i]);
	}
	to->prefixes = prefixes;
}

const auth_principal *auth_principal_new(const auth_principal *from)
{
	size_t prefixes_bytes = from->prefix_count * sizeof(str);
	auth_principal_block *block = malloc(sizeof *block + prefixes_bytes + text_bytes(from));
	if (block == NULL) {
		return NULL;
	}
	atomic_init(&block->references, 1);
	fill(&block->principal, from, block->prefixes, (char *)block + sizeof *block + prefixes_bytes);
	block->principal.block = block;
	limit_account_ref(from->account);
	return &block->principal;
}

const auth_principal *auth_principal_ref(const auth_principal *p)
{
	if (p->block == NULL) {
		return auth_principal_new(p);
	}
	atomic_fetch_add_explicit(&p->block->references, 1, memory_order_relaxed);
	return p;
}

void auth_principal_unref(const auth_principal *p)
{
	if (p != NULL && p->block != NULL &&
		atomic_fetch_sub_explicit(&p->block->references, 1, memory_order_acq_rel) == 1) {
		limit_account_unref(p->account);
		free(p->block);
	}
}

const auth_principal *auth_principal_copy(const auth_principal *p, arena *a)
{
	auth_principal *copy = arena_alloc(a, sizeof *copy);
	str *prefixes = arena_alloc_array(a, p->prefix_count + 1, sizeof *prefixes);
	char *texts = arena_alloc(a, text_bytes(p) + 1);
	if (copy == NULL || prefixes == NULL || texts == NULL) {
		return NULL;
	}
	fill(copy, p, prefixes, texts);
	copy->block = NULL;
	return copy;
}

bool auth_principal_allows(const auth_principal *p, uint32_t scopes)
{
	return (p->scopes & scopes) == scopes;
}

bool auth_principal_allows_name(const auth_principal *p, str name)
{
	for (size_t i = 0; i < p->prefix_count; i++) {
		if (str_starts_with(name, p->prefixes[i])) {
			return true;
		}
	}
	return p->prefix_count == 0;
}

bool auth_choice_apply(auth_choice choice, bool server_setting)
{
	switch (choice) {
	case AUTH_CHOICE_ON:
		return true;
	case AUTH_CHOICE_OFF:
		return false;
	case AUTH_CHOICE_SERVER:
		break;
	}
	return server_setting;
}

/* ---- scopes ---- */

/* Up to the next ',' or '+'. */
static str take_word(str *rest)
{
	size_t n = 0;
	while (n < rest->len && rest->ptr[n] != ',' && rest->ptr[n] != '+') {
		n++;
	}
	str word = str_trim(str_take(*rest, n));
	*rest = n < rest->len ? str_skip(*rest, n + 1) : STR_NONE;
	return word;
}

bool auth_scopes_parse(str text, uint32_t *out, str *problem)
{
	uint32_t scopes = 0;
	str rest = text;
	do {
		str word = take_word(&rest);
		size_t i = 0;
		while (i < SCOPE_WORD_COUNT && !str_equal_ignore_case(word, str_from_c(SCOPE_WORDS[i].name))) {
			i++;
		}
		if (i == SCOPE_WORD_COUNT) {
			*problem = word;
			return false;
		}
		scopes |= SCOPE_WORDS[i].scopes;
	} while (rest.ptr != NULL);
	*out = scopes;
	return true;
}

str auth_scope_name(uint32_t scope)
{
	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		if (SCOPE_WORDS[i].scopes == scope) {
			return str_from_c(SCOPE_WORDS[i].name);
		}
	}
	return STR("");
}

void auth_scopes_print(uint32_t scopes, buf *out)
{
	bool is_first = true;
	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		if ((scopes & SCOPE_WORDS[i].scopes) != 0) {
			if (!is_first) {
				buf_append_byte(out, ',');
			}
			buf_append_str(out, str_from_c(SCOPE_WORDS[i].name));
			is_first = false;
		}
	}
}
