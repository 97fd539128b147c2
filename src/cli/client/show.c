#include "cli/client/show.h"

#include <string.h>

#include "cli/client/bytes.h"
#include "cli/table.h"
#include "cli/when.h"

enum { COLUMN_WIDTH_MAX = 60 };

/* Of a fraction in a table: 99.99 is shown as that, and not as the nearest binary number. */
#define NUMBER_DIGITS JSON_REAL_PRECISION(15)

bool show_parse_form(const char *text, show_form *out, err *e)
{
	/* in the order of show_form */
	static const char *const names[] = {"dynamic", "text", "binary", "json", "raw", "table", "full_table"};
	for (unsigned i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (show_form)i;
			return true;
		}
	}
	return text == NULL ||
		   err_set(e, ERR_INVALID_REQUEST,
				   "--output is dynamic, text, binary, json, raw, table or full_table, not `%.40s`", text);
}

/* ---- formats ---- */

static bool add_part(show *s, show_field field, str literal, err *e)
{
	if (field == SHOW_LITERAL && literal.len == 0) {
		return true;
	}
	if (s->part_count == SHOW_PARTS_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "--format has more than %d parts", SHOW_PARTS_MAX);
	}
	s->parts[s->part_count++] = (show_part){field, literal};
	return true;
}

static bool add_field(show *s, str name, err *e)
{
	static const char *const names[] = {"", "key", "value", "offset", "partition", "time"}; /* as of show_field */
	for (unsigned i = 1; i < sizeof names / sizeof names[0]; i++) {
		if (str_equal(str_trim(name), str_from_c(names[i]))) {
			return add_part(s, (show_field)i, STR_NONE, e);
		}
	}
	return err_set(e, ERR_INVALID_REQUEST,
				   "--format knows {{key}}, {{value}}, {{offset}}, {{partition}} and {{time}}, not {{%.*s}}",
				   STR_ARG(str_take(name, 40)));
}

bool show_parse_format(show *s, const char *text, err *e)
{
	str rest = str_from_c(text);
	size_t open;
	size_t end;
	while (str_find(rest, STR("{{"), &open)) {
		str inner = str_skip(rest, open + 2);
		if (!str_find(inner, STR("}}"), &end)) {
			return err_set(e, ERR_INVALID_REQUEST, "--format has {{ without }}");
		}
		if (!add_part(s, SHOW_LITERAL, str_take(rest, open), e) || !add_field(s, str_take(inner, end), e)) {
			return false;
		}
		rest = str_skip(inner, end + 2);
	}
	if (!add_part(s, SHOW_LITERAL, rest, e)) {
		return false;
	}
	return s->part_count > 0 || err_set(e, ERR_INVALID_REQUEST, "--format must not be empty");
}

void show_dispose(show *s)
{
	json_decref(s->columns);
	s->columns = NULL;
}

/* ---- pieces ---- */

static str key_of(const tg_record *record)
{
	str key;
	key.ptr = tg_record_key(record, &key.len);
	return key;
}

static str value_of(const tg_record *record)
{
	str value;
	value.ptr = tg_record_value(record, &value.len);
	return value;
}

static bool append_unknown(const show *s, buf *out, const char *what, size_t bytes)
{
	if (!s->skips_unknown) {
		buf_printf(out, "%s: (%zu bytes)", what, bytes);
	}
	return !s->skips_unknown;
}

/* A record's part as one line of text has it. */
static void append_field(buf *out, show_field field, const tg_record *record)
{
	str key = key_of(record);
	switch (field) {
	case SHOW_KEY:
		bytes_append_lossy(out, key.ptr != NULL ? key : STR("null"));
		break;
	case SHOW_VALUE:
		bytes_append_lossy(out, value_of(record));
		break;
	case SHOW_OFFSET:
		buf_append_i64(out, tg_record_offset(record));
		break;
	case SHOW_PARTITION:
		buf_append_i64(out, tg_record_partition(record));
		break;
	case SHOW_TIME:
		when_append_timestamp(out, tg_record_timestamp(record));
		break;
	case SHOW_LITERAL:
		break;
	}
}

/* ---- tables ---- */

/* A cell, which is as wide as the widest one of its column before; so rows can be shown as they come. */
static void append_cell(show *s, buf *out, size_t column, bool is_last, str cell)
{
	size_t characters = table_characters(cell);
	size_t *width = &s->widths[column];
	*width = characters > *width && characters <= COLUMN_WIDTH_MAX ? characters : *width;
	for (size_t i = 0; i < cell.len; i++) {
		buf_append_byte(out, (unsigned char)cell.ptr[i] < 0x20 ? ' ' : cell.ptr[i]);
	}
	for (size_t i = characters; !is_last && i < *width + 2; i++) {
		buf_append_byte(out, ' ');
	}
}

static void append_member(show *s, buf *out, size_t column, bool is_last, const json_t *value)
{
	if (json_is_string(value)) {
		append_cell(s, out, column, is_last, (str){json_string_value(value), json_string_length(value)});
		return;
	}
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | NUMBER_DIGITS) : NULL;
	append_cell(s, out, column, is_last, text != NULL ? str_from_c(text) : STR("-"));
	free(text);
}

static const char *const RECORD_TITLES[] = {"PARTITION", "OFFSET", "TIME", "KEY"};
enum { RECORD_COLUMNS = sizeof RECORD_TITLES / sizeof RECORD_TITLES[0] };

static bool read_columns(show *s, json_t *object)
{
	const char *name;
	json_t *value;
	size_t most = SHOW_COLUMNS_MAX - RECORD_COLUMNS;
	s->columns = json_array();
	json_object_foreach(object, name, value)
	{
		if (json_array_size(s->columns) == most) {
			break;
		}
		if (json_array_append_new(s->columns, json_string(name)) != 0) {
			return false;
		}
		/* The first row makes room for itself, so that titles and values stand below each other. */
		size_t column = json_array_size(s->columns) - 1 + (s->form == SHOW_FULL_TABLE ? RECORD_COLUMNS : 0);
		size_t characters = table_characters(str_from_c(json_string_value(value)));
		s->widths[column] = characters < COLUMN_WIDTH_MAX ? characters : COLUMN_WIDTH_MAX;
	}
	return s->columns != NULL;
}

static void append_titles(show *s, buf *out)
{
	size_t i;
	json_t *name;
	size_t own = s->form == SHOW_FULL_TABLE ? RECORD_COLUMNS : 0;
	for (size_t c = 0; c < own; c++) {
		append_cell(s, out, c, false, str_from_c(RECORD_TITLES[c]));
	}
	json_array_foreach(s->columns, i, name)
	{
		bool is_last = i + 1 == json_array_size(s->columns);
		append_cell(s, out, own + i, is_last, str_from_c(json_string_value(name)));
	}
	buf_append_byte(out, '\n');
}

static void append_record_cells(show *s, buf *out, const tg_record *record)
{
	static const show_field fields[RECORD_COLUMNS] = {SHOW_PARTITION, SHOW_OFFSET, SHOW_TIME, SHOW_KEY};
	buf cell;
	buf_init(&cell, out->max_bytes);
	for (size_t c = 0; c < RECORD_COLUMNS; c++) {
		buf_clear(&cell);
		append_field(&cell, fields[c], record);
		append_cell(s, out, c, false, buf_str(&cell));
	}
	buf_dispose(&cell);
}

static bool append_row(show *s, buf *out, const tg_record *record)
{
	str value = value_of(record);
	size_t i;
	json_t *name;
	json_t *object = json_loadb(value.ptr, value.len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(object) || (s->columns == NULL && !read_columns(s, object))) {
		json_decref(object);
		return append_unknown(s, out, "not a JSON object", value.len);
	}
	size_t own = s->form == SHOW_FULL_TABLE ? RECORD_COLUMNS : 0;
	if (!s->has_titles) {
		s->has_titles = true;
		if (own > 0) {
			s->widths[2] = sizeof "2026-05-01T12:30:59.999Z" - 1;
		}
		append_titles(s, out);
	}
	if (own > 0) {
		append_record_cells(s, out, record);
	}
	json_array_foreach(s->columns, i, name)
	{
		bool is_last = i + 1 == json_array_size(s->columns);
		append_member(s, out, own + i, is_last, json_object_get(object, json_string_value(name)));
	}
	json_decref(object);
	return true;
}

/* ---- records ---- */

/* False: there is nothing to show. */
static bool append_value(show *s, buf *out, const tg_record *record)
{
	str value = value_of(record);
	switch (s->form) {
	case SHOW_DYNAMIC:
	case SHOW_TEXT:
		if (bytes_are_text(value)) {
			buf_append_str(out, value);
			return true;
		}
		if (s->form == SHOW_TEXT) {
			return append_unknown(s, out, "binary", value.len);
		}
		bytes_append_dump(out, value);
		return true;
	case SHOW_BINARY:
		bytes_append_dump(out, value);
		return true;
	case SHOW_JSON:
		return bytes_append_json(out, value) || append_unknown(s, out, "not JSON", value.len);
	case SHOW_RAW:
		buf_append_str(out, value);
		return true;
	case SHOW_TABLE:
	case SHOW_FULL_TABLE:
		return append_row(s, out, record);
	}
	return false;
}

/* Ends the line that began at `from` after so many characters. */
static void cut_line(buf *out, size_t from, unsigned columns)
{
	size_t at = from;
	for (unsigned seen = 0; at < out->len && out->ptr[at] != '\n'; at++) {
		seen += ((unsigned char)out->ptr[at] & 0xC0) != 0x80 ? 1 : 0;
		if (seen > columns) {
			break;
		}
	}
	out->len = at;
}

void show_record(show *s, buf *out, const tg_record *record)
{
	size_t from = out->len;
	if (s->part_count > 0) {
		for (size_t i = 0; i < s->part_count; i++) {
			buf_append_str(out, s->parts[i].literal);
			append_field(out, s->parts[i].field, record);
		}
	} else {
		if (s->has_keys) {
			buf_append_byte(out, '[');
			append_field(out, SHOW_KEY, record);
			buf_append_str(out, STR("] "));
		}
		if (!append_value(s, out, record)) {
			out->len = from;
			return;
		}
	}
	if (s->cut_columns > 0) {
		cut_line(out, from, s->cut_columns);
	}
	buf_append_byte(out, '\n');
}
