#include "profile_text.h"

#include <stdio.h>
#include <string.h>

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
		at++;
	}
	return at;
}

bool tgi_profile_is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static char unescape(char letter)
{
	switch (letter) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '"':
	case '\\':
		return letter;
	default:
		return '\0';
	}
}

/* A text in quotes; NULL: it is none, or not one that a name, an address or a key needs. */
static const char *read_quoted(const char *at, const char *end, char out[TEXT_BYTES_MAX + 1])
{
	size_t len = 0;
	const char quote = at < end ? *at : '\0';
	if (quote != '"' && quote != '\'') {
		return NULL;
	}
	for (at++; at < end && *at != quote && *at != '\n'; at++) {
		char c = *at;
		if (c == '\\' && quote == '"') {
			c = ++at < end ? unescape(*at) : '\0';
		}
		if (c == '\0' || len == TEXT_BYTES_MAX) {
			return NULL;
		}
		out[len++] = c;
	}
	out[len] = '\0';
	return at < end && *at == quote ? at + 1 : NULL;
}

/* A name, bare or quoted. */
static const char *read_name(const char *at, const char *end, char out[TEXT_BYTES_MAX + 1])
{
	size_t len = 0;
	if (at < end && !tgi_profile_is_bare(*at)) {
		return read_quoted(at, end, out);
	}
	while (at < end && tgi_profile_is_bare(*at) && len < TEXT_BYTES_MAX) {
		out[len++] = *at++;
	}
	out[len] = '\0';
	return len > 0 ? at : NULL;
}

static void read_section(line *l, const char *at)
{
	static const char family[] = "profile.";
	l->kind = LINE_SECTION;
	at = skip_blanks(at, l->end);
	if ((size_t)(l->end - at) > sizeof family && memcmp(at, family, sizeof family - 1) == 0) {
		at = read_name(at + sizeof family - 1, l->end, l->name);
		at = at != NULL ? skip_blanks(at, l->end) : NULL;
		l->kind = at != NULL && at < l->end && *at == ']' ? LINE_PROFILE : LINE_SECTION;
	}
}

static void read_pair(line *l, const char *at)
{
	at = read_name(at, l->end, l->name);
	at = at != NULL ? skip_blanks(at, l->end) : NULL;
	if (at != NULL && at < l->end && *at == '=') {
		l->kind = LINE_PAIR;
		l->has_value = read_quoted(skip_blanks(at + 1, l->end), l->end, l->value) != NULL;
	}
}

bool tgi_profile_next_line(const buffer *text, line *l)
{
	const char *begin = l->end != NULL ? l->end : text->ptr;
	const char *stop = text->ptr + text->len;
	if (begin == stop) {
		return false;
	}
	const char *feed = memchr(begin, '\n', (size_t)(stop - begin));
	l->begin = begin;
	l->end = feed != NULL ? feed + 1 : stop;
	l->number++;
	l->kind = LINE_OTHER;
	l->has_value = false;
	const char *at = skip_blanks(begin, l->end);
	if (at < l->end && *at == '[') {
		read_section(l, at + 1);
	} else if (at < l->end && *at != '#') {
		read_pair(l, at);
	}
	return true;
}

bool tgi_profile_is_head(const line *l)
{
	return l->kind == LINE_PROFILE || l->kind == LINE_SECTION;
}

void tgi_profile_find_current(const buffer *text, char name[TEXT_BYTES_MAX + 1])
{
	line l = {0};
	name[0] = '\0';
	while (tgi_profile_next_line(text, &l) && !tgi_profile_is_head(&l)) {
		if (l.kind == LINE_PAIR && l.has_value && strcmp(l.name, "current") == 0) {
			snprintf(name, TEXT_BYTES_MAX + 1, "%s", l.value);
		}
	}
}

bool tgi_profile_find(const buffer *text, const char *name, size_t *begin, size_t *end)
{
	line l = {0};
	bool is_found = false;
	while (tgi_profile_next_line(text, &l) && !(is_found && tgi_profile_is_head(&l))) {
		if (l.kind == LINE_PROFILE && strcmp(l.name, name) == 0) {
			is_found = true;
			*begin = (size_t)(l.begin - text->ptr);
		}
		if (is_found && l.kind != LINE_OTHER) {
			*end = (size_t)(l.end - text->ptr);
		}
	}
	return is_found;
}
