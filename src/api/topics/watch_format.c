#include "api/topics/watch_format.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "api/topics/record.h"
#include "base/jwrite.h"

typedef struct watch_format {
	log_format format; /* first: the log hands it back */
	watch_formats *registry;
	watch_surface surface;
	watch_options options; /* its nodes are a copy, in the same piece of memory */
	size_t references;     /* under the registry's lock */
} watch_format;

struct watch_formats {
	pthread_mutex_t lock;
	void *root; /* tsearch(3) tree of watch_format by surface and options */
};

/* ---- frames ---- */

static void begin(buf *out, watch_surface surface, const char *event, const char *op, str topic)
{
	if (surface == WATCH_EVENTS) {
		buf_printf(out, "event: %s\ndata: {\"topic\":", event);
	} else {
		buf_printf(out, "{\"op\":\"%s\",\"topic\":", op);
	}
	jwrite_string(out, topic);
}

static void end(buf *out, watch_surface surface)
{
	buf_append_str(out, surface == WATCH_EVENTS ? STR("}\n\n") : STR("}"));
}

static void member(buf *out, const char *name, int64_t value)
{
	buf_append_byte(out, ',');
	jwrite_key(out, name);
	buf_append_i64(out, value);
}

static void write_page(const log_format *f, buf *out, const log_topic *t, log_page *page)
{
	const watch_format *w = (const watch_format *)f;
	const watch_options *o = &w->options;
	const record_view view = {
		.has_node = true, .has_tag = o->has_tags, .has_data = o->has_data, .has_meta = o->has_meta};
	int64_t from = log_page_position(page);
	bool filters = log_page_dedupes_node(page);
	bool is_empty = true;
	log_record r;
	while (log_page_next(page, &r)) {
		if (filters && node_filter_drops(&o->nodes, &r)) {
			continue;
		}
		if (is_empty) {
			begin(out, w->surface, "record", "record", t->name);
			buf_append_str(out, STR(",\"records\":["));
		} else {
			buf_append_byte(out, ',');
		}
		is_empty = false;
		record_write(out, &r, view);
	}
	if (!is_empty) {
		buf_append_byte(out, ']');
		member(out, "from_seq", from);
		member(out, "to_seq", log_page_position(page));
		member(out, "head_seq", log_page_end_offset(page));
		end(out, w->surface);
	}
}

static void caught_up(buf *out, watch_surface surface, const log_topic *t, const log_position *at)
{
	begin(out, surface, "caught-up", "caught_up", t->name);
	member(out, "head_seq", at->offsets[0]);
	end(out, surface);
}

static void event_caught_up(buf *out, const log_topic *t, const log_position *at)
{
	caught_up(out, WATCH_EVENTS, t, at);
}

static void message_caught_up(buf *out, const log_topic *t, const log_position *at)
{
	caught_up(out, WATCH_MESSAGES, t, at);
}

void watch_write_tombstone(buf *out, watch_surface surface, str topic, const watch_tombstone *t)
{
	begin(out, surface, "tombstone", "tombstone", topic);
	buf_printf(out, ",\"reason\":\"%s\"", t->reason);
	member(out, "gap_from", t->gap_from);
	member(out, "gap_to", t->gap_to);
	member(out, "earliest_seq", t->earliest_seq);
	member(out, "head_seq", t->head_seq);
	end(out, surface);
}

void watch_write_deleted(buf *out, watch_surface surface, str topic, int64_t head_seq)
{
	begin(out, surface, "topic-deleted", "topic_deleted", topic);
	member(out, "head_seq", head_seq);
	buf_append_str(out, STR(",\"reason\":\"deleted\""));
	end(out, surface);
}

/* ---- the registry ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b ? 1 : 0;
}

static uint64_t switches(const watch_format *f)
{
	return (uint64_t)f->surface << 3 | (uint64_t)f->options.has_meta << 2 | (uint64_t)f->options.has_tags << 1 |
		   (uint64_t)f->options.has_data;
}

static int compare_formats(const void *left, const void *right)
{
	const watch_format *a = left;
	const watch_format *b = right;
	int order = compare_numbers(switches(a), switches(b));
	order = order != 0 ? order : compare_numbers(a->options.limit, b->options.limit);
	order = order != 0 ? order : compare_numbers(a->options.max_bytes, b->options.max_bytes);
	order = order != 0 ? order : compare_numbers(a->options.nodes.count, b->options.nodes.count);
	for (size_t i = 0; order == 0 && i < a->options.nodes.count; i++) {
		order = str_compare(a->options.nodes.names[i], b->options.nodes.names[i]);
	}
	return order;
}

static void retain(const log_format *f)
{
	watch_format *w = (watch_format *)(uintptr_t)f;
	pthread_mutex_lock(&w->registry->lock);
	w->references++;
	pthread_mutex_unlock(&w->registry->lock);
}

void watch_format_unref(const log_format *f)
{
	if (f == NULL) {
		return;
	}
	watch_format *w = (watch_format *)(uintptr_t)f;
	watch_formats *fs = w->registry;
	pthread_mutex_lock(&fs->lock);
	bool is_last = --w->references == 0;
	if (is_last) {
		tdelete(w, &fs->root, compare_formats);
	}
	pthread_mutex_unlock(&fs->lock);
	if (is_last) {
		free(w);
	}
}

watch_formats *watch_formats_new(void)
{
	watch_formats *fs = calloc(1, sizeof *fs);
	if (fs != NULL) {
		pthread_mutex_init(&fs->lock, NULL);
	}
	return fs;
}

void watch_formats_free(watch_formats *fs)
{
	if (fs != NULL) {
		tdestroy(fs->root, free);
		pthread_mutex_destroy(&fs->lock);
		free(fs);
	}
}

/* The format, then the texts of its nodes. */
static watch_format *format_new(watch_formats *fs, const watch_format *key)
{
	const node_filter *from = &key->options.nodes;
	size_t bytes = sizeof *key;
	for (size_t i = 0; i < from->count; i++) {
		bytes += from->names[i].len;
	}
	watch_format *w = malloc(bytes);
	if (w == NULL) {
		return NULL;
	}
	*w = *key;
	char *text = (char *)(w + 1);
	for (size_t i = 0; i < from->count; i++) {
		str name = from->names[i];
		if (name.len > 0) {
			memcpy(text, name.ptr, name.len);
		}
		w->options.nodes.names[i] = (str){text, name.len};
		text += name.len;
	}
	if (tsearch(w, &fs->root, compare_formats) == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

const log_format *watch_format_get(watch_formats *fs, watch_surface surface, const watch_options *options)
{
	watch_format key = {
		.format = {.name = surface == WATCH_EVENTS ? "topics-events" : "topics-messages",
				   .write_page = write_page,
				   .write_caught_up = surface == WATCH_EVENTS ? event_caught_up : message_caught_up,
				   .page_records = options->limit,
				   .page_bytes = options->max_bytes,
				   .retain = retain,
				   .release = watch_format_unref},
		.registry = fs,
		.surface = surface,
		.options = *options,
	};
	pthread_mutex_lock(&fs->lock);
	watch_format *const *node = tfind(&key, &fs->root, compare_formats);
	watch_format *found = node != NULL ? *node : format_new(fs, &key);
	if (found != NULL) {
		found->references++;
	}
	pthread_mutex_unlock(&fs->lock);
	return found != NULL ? &found->format : NULL;
}
