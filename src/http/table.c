#include "http/table.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

typedef struct node {
	str literal;
	struct node *sibling;  /* the parent's next literal */
	struct node *literals; /* children */
	struct node *param;
	struct node *rest; /* terminal: takes everything that follows */
	const table_entry *by_method[TABLE_METHODS];
	uint32_t methods;
} node;

struct table {
	node *root;
	const http_dialect *const *dialects;
	size_t dialect_count;
	table_entry *entries;
	size_t count;
};

/* ---- building ---- */

static node *node_new(str literal)
{
	node *n = calloc(1, sizeof *n);
	if (n != NULL) {
		n->literal = literal;
	}
	return n;
}

static void node_free(node *n)
{
	while (n != NULL) {
		node *next = n->sibling;
		node_free(n->literals);
		node_free(n->param);
		node_free(n->rest);
		free(n);
		n = next;
	}
}

/* The child for one segment of a pattern, made when absent. NULL: out of memory. */
static node *child_of(node *parent, str segment)
{
	node **place;
	bool is_param = segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
	if (is_param) {
		place = str_ends_with(segment, STR("...}")) ? &parent->rest : &parent->param;
	} else {
		place = &parent->literals;
		while (*place != NULL && !str_equal((*place)->literal, segment)) {
			place = &(*place)->sibling;
		}
	}
	if (*place == NULL) {
		*place = node_new(is_param ? STR_NONE : segment);
	}
	return *place;
}

static bool add(table *t, const table_entry *entry, err *e)
{
	const http_route *route = entry->route;
	str rest = str_from_c(route->pattern);
	node *at = t->root;
	size_t segments = 0;
	size_t params = 0;
	bool is_closed = false; /* after {name...} */
	bool is_sound = rest.len > 0 && rest.ptr[0] == '/';
	rest = str_skip(rest, 1);
	while (is_sound && rest.len > 0) {
		str segment;
		bool has_more = str_split(rest, '/', &segment, &rest);
		node *child = child_of(at, segment);
		if (child == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory building the routes");
		}
		params += segment.len > 0 && segment.ptr[0] == '{';
		is_sound = !is_closed && segment.len > 0 && (!has_more || rest.len > 0) && ++segments <= TABLE_SEGMENTS_MAX;
		is_closed = child == at->rest;
		at = child;
	}
	if (!is_sound || params > TABLE_PARAMS_MAX || at->by_method[route->method] != NULL) {
		return err_set(e, ERR_INTERNAL, "route %s has a bad or repeated pattern: %s", route->name, route->pattern);
	}
	at->by_method[route->method] = entry;
	at->methods |= 1U << route->method;
	return true;
}

bool table_new(const http_dialect *const *dialects, size_t count, table **out, err *e)
{
	table *t = calloc(1, sizeof *t);
	size_t total = 0;
	for (size_t d = 0; d < count; d++) {
		total += dialects[d]->route_count;
	}
	if (t != NULL) {
		*t = (table){.dialects = dialects, .dialect_count = count, .root = node_new(STR_NONE)};
		t->entries = calloc(total + 1, sizeof *t->entries);
	}
	if (t == NULL || t->root == NULL || t->entries == NULL) {
		table_free(t);
		return err_set(e, ERR_NO_MEMORY, "out of memory building the routes");
	}
	for (size_t d = 0; d < count; d++) {
		for (size_t r = 0; r < dialects[d]->route_count; r++) {
			table_entry *entry = &t->entries[t->count];
			*entry = (table_entry){&dialects[d]->routes[r], dialects[d], t->count};
			t->count++;
			if (!add(t, entry, e)) {
				table_free(t);
				return false;
			}
		}
	}
	*out = t;
	return true;
}

void table_free(table *t)
{
	if (t != NULL) {
		node_free(t->root);
		free(t->entries);
		free(t);
	}
}

size_t table_count(const table *t)
{
	return t->count;
}

const table_entry *table_at(const table *t, size_t index)
{
	return &t->entries[index];
}

/* ---- matching ---- */

typedef struct walk {
	http_method method;
	arena *arena;
	str raw[TABLE_SEGMENTS_MAX]; /* the first segments as sent */
	str decoded[TABLE_SEGMENTS_MAX];
	size_t count; /* of all segments, also beyond the first 16 */
	const char *path_end;
	size_t param_count;
	str params[TABLE_PARAMS_MAX];
	bool is_out_of_memory;
	table_match *out;
} walk;

static bool decode(walk *w, str raw, str *out)
{
	bool is_clean;
	if (!text_percent_decode(w->arena, raw, false, out, &is_clean)) {
		w->is_out_of_memory = true;
		return false;
	}
	return true;
}

/* A node where the path may end. True: it has the method, the search is over. */
static bool arrive(walk *w, const node *n)
{
	w->out->allowed |= n->methods;
	const table_entry *entry = n->by_method[w->method];
	if (entry == NULL && w->method == HTTP_HEAD) {
		entry = n->by_method[HTTP_GET];
		entry = entry != NULL && entry->dialect->is_strict ? NULL : entry;
	}
	if (entry == NULL) {
		return false;
	}
	w->out->entry = entry;
	w->out->param_count = w->param_count;
	memcpy(w->out->params, w->params, sizeof w->params);
	return true;
}

/* At most 16 levels deep, one per segment of a pattern. */
static bool visit(walk *w, const node *n, size_t at)
{
	if (at == w->count) {
		return arrive(w, n);
	}
	if (at >= TABLE_SEGMENTS_MAX) {
		return false;
	}
	for (const node *child = n->literals; child != NULL; child = child->sibling) {
		if (str_equal(child->literal, w->decoded[at])) {
			if (visit(w, child, at + 1)) {
				return true;
			}
			break;
		}
	}
	if (n->param != NULL && w->decoded[at].len > 0) {
		w->params[w->param_count++] = w->decoded[at];
		if (visit(w, n->param, at + 1)) {
			return true;
		}
		w->param_count--;
	}
	if (n->rest != NULL) {
		str raw = {w->raw[at].ptr, (size_t)(w->path_end - w->raw[at].ptr)};
		if (!decode(w, raw, &w->params[w->param_count])) {
			return false;
		}
		w->param_count++;
		if (arrive(w, n->rest)) {
			return true;
		}
		w->param_count--;
	}
	return false;
}

static const http_dialect *dialect_of(const table *t, str raw_path)
{
	const http_dialect *best = t->dialect_count > 0 ? t->dialects[0] : NULL;
	size_t best_len = 0;
	for (size_t i = 0; i < t->dialect_count; i++) {
		str prefix = str_from_c(t->dialects[i]->prefix);
		if (prefix.len > best_len && str_starts_with(raw_path, prefix)) {
			best = t->dialects[i];
			best_len = prefix.len;
		}
	}
	return best;
}

bool table_find(const table *t, http_method method, str raw_path, arena *a, table_match *out)
{
	*out = (table_match){.entry = NULL};
	walk w = {.method = method, .arena = a, .out = out};
	if (raw_path.len > 1 && raw_path.ptr[0] == '/') {
		w.path_end = raw_path.ptr + raw_path.len;
		const char *start = raw_path.ptr + 1;
		const char *end;
		for (; start <= w.path_end; start = end + 1) {
			end = memchr(start, '/', (size_t)(w.path_end - start));
			if (end == NULL) {
				end = w.path_end;
			}
			if (w.count < TABLE_SEGMENTS_MAX) {
				w.raw[w.count] = (str){start, (size_t)(end - start)};
				if (!decode(&w, w.raw[w.count], &w.decoded[w.count])) {
					return false;
				}
			}
			w.count++;
		}
	}
	if (raw_path.len > 0 && raw_path.ptr[0] == '/') {
		visit(&w, t->root, 0);
	}
	out->dialect = out->entry != NULL ? out->entry->dialect : dialect_of(t, raw_path);
	return !w.is_out_of_memory;
}
