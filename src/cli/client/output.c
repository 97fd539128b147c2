#include "cli/client/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/jwrite.h"
#include "cli/client/amount.h"
#include "cli/table.h"
#include "cli/when.h"

enum { CELL_BYTES_MAX = 64 << 10 };

bool output_parse(const char *text, output_form *out, err *e)
{
	static const char *const names[] = {"table", "json", "yaml", "toml"}; /* in the order of output_form */
	for (unsigned i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (output_form)i;
			return true;
		}
	}
	return text == NULL || err_set(e, ERR_INVALID_REQUEST, "--output is table, json, yaml or toml, not `%.40s`", text);
}

/* ---- what the forms for programs share ---- */

static bool is_group(const json_t *value)
{
	return (json_is_object(value) && json_object_size(value) > 0) ||
		   (json_is_array(value) && json_array_size(value) > 0);
}

/* A value in one line, as JSON has it: that is YAML, too. */
static void append_json(buf *out, const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
	if (text == NULL) {
		out->failed = true;
		return;
	}
	buf_append_str(out, str_from_c(text));
	free(text);
}

/* A name needs no quotes when it can be nothing but a name. */
static bool is_bare(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (str_equal_ignore_case(str_from_c(text), str_from_c(words[i]))) {
			return false;
		}
	}
	return text[0] != '\0' && strchr("0123456789-", text[0]) == NULL &&
		   strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(text);
}

static void append_name(buf *out, const char *name)
{
	if (is_bare(name)) {
		buf_append_str(out, str_from_c(name));
	} else {
		jwrite_string(out, str_from_c(name));
	}
}

/* ---- YAML ---- */

static void append_indent(buf *out, size_t depth)
{
	for (size_t i = 0; i < depth; i++) {
		buf_append_str(out, STR("  "));
	}
}

static void append_yaml(buf *out, json_t *value, size_t depth, bool is_begun);

/* What stands behind "name:" or "-". */
static void append_yaml_value(buf *out, json_t *value, size_t depth, bool is_item)
{
	if (is_group(value) && is_item && json_is_object(value)) {
		buf_append_byte(out, ' ');
		append_yaml(out, value, depth, true);
	} else if (is_group(value)) {
		buf_append_byte(out, '\n');
		append_yaml(out, value, depth, false);
	} else if (json_is_string(value) && is_bare(json_string_value(value))) {
		buf_printf(out, " %s\n", json_string_value(value));
	} else {
		buf_append_byte(out, ' ');
		append_json(out, value, JSON_COMPACT);
		buf_append_byte(out, '\n');
	}
}

/* is_begun: the first line's indent is there already, as the mark of a list's item. */
static void append_yaml(buf *out, json_t *value, size_t depth, bool is_begun)
{
	size_t i;
	const char *name;
	json_t *inner;
	json_array_foreach(value, i, inner)
	{
		append_indent(out, depth);
		buf_append_byte(out, '-');
		append_yaml_value(out, inner, depth + 1, true);
	}
	json_object_foreach(value, name, inner)
	{
		append_indent(out, is_begun ? 0 : depth);
		is_begun = false;
		append_name(out, name);
		buf_append_byte(out, ':');
		append_yaml_value(out, inner, depth + 1, false);
	}
}

/* ---- TOML ---- */

/* In one line. TOML has no null: such members are left out. */
static void append_toml(buf *out, json_t *value)
{
	const char *gap = "";
	size_t i;
	const char *name;
	json_t *inner;
	if (json_is_array(value)) {
		buf_append_byte(out, '[');
		json_array_foreach(value, i, inner)
		{
			buf_append_str(out, str_from_c(i > 0 ? ", " : ""));
			append_toml(out, inner);
		}
		buf_append_byte(out, ']');
	} else if (json_is_object(value)) {
		buf_append_byte(out, '{');
		json_object_foreach(value, name, inner)
		{
			if (!json_is_null(inner)) {
				buf_append_str(out, str_from_c(gap));
				append_name(out, name);
				buf_append_str(out, STR(" = "));
				append_toml(out, inner);
				gap = ", ";
			}
		}
		buf_append_byte(out, '}');
	} else {
		append_json(out, value, JSON_COMPACT);
	}
}

static void append_toml_pairs(buf *out, json_t *object)
{
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		if (!json_is_null(value)) {
			append_name(out, name);
			buf_append_str(out, STR(" = "));
			append_toml(out, value);
			buf_append_byte(out, '\n');
		}
	}
}

/* ---- tables ---- */

static json_t *find_member(const json_t *object, const char *path)
{
	str name;
	str rest;
	bool has_more = str_split(str_from_c(path), '.', &name, &rest);
	json_t *value = json_object_getn(object, name.ptr, name.len);
	return has_more ? find_member(value, rest.ptr) : value;
}

static void append_limit(buf *cell, int64_t bytes)
{
	if (bytes == 0) {
		buf_append_byte(cell, '-');
	} else {
		amount_append_bytes(cell, bytes);
	}
}

static void append_cell(buf *cell, const output_column *column, const json_t *value)
{
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value)) {
		if (json_is_boolean(value)) {
			buf_append_str(cell, str_from_c(json_is_true(value) ? "*" : ""));
		} else if (json_is_string(value)) {
			buf_append_str(cell, str_from_c(json_string_value(value)));
		} else if (value != NULL && !json_is_null(value)) {
			append_json(cell, value, JSON_COMPACT);
		}
		return;
	}
	switch (column->kind) {
	case OUTPUT_TIME:
		when_append_time(cell, number);
		break;
	case OUTPUT_BYTES:
		amount_append_bytes(cell, number);
		break;
	case OUTPUT_LIMIT:
		append_limit(cell, number);
		break;
	case OUTPUT_DURATION:
		amount_append_duration(cell, number);
		break;
	case OUTPUT_PLAIN:
		buf_append_i64(cell, number);
		break;
	}
}

static void append_table(buf *out, const output_column columns[], const json_t *list)
{
	const char *titles[TABLE_COLUMNS_MAX + 1] = {NULL};
	size_t i;
	json_t *row;
	table t;
	buf cell;
	for (size_t c = 0; columns[c].title != NULL && c < TABLE_COLUMNS_MAX; c++) {
		titles[c] = columns[c].title;
	}
	table_init(&t, titles);
	buf_init(&cell, CELL_BYTES_MAX);
	json_array_foreach(list, i, row)
	{
		for (size_t c = 0; c < t.columns; c++) {
			buf_clear(&cell);
			append_cell(&cell, &columns[c], find_member(row, columns[c].member));
			table_add(&t, buf_str(&cell));
		}
	}
	table_print(&t, out);
	buf_dispose(&cell);
	table_dispose(&t);
}

/* ---- all forms ---- */

void output_list(buf *out, output_form form, const char *noun, const output_column columns[], json_t *list)
{
	size_t i;
	json_t *item;
	switch (form) {
	case OUTPUT_TABLE:
		if (json_array_size(list) > 0) {
			append_table(out, columns, list);
		} else {
			buf_printf(out, "No %s found\n", noun);
		}
		break;
	case OUTPUT_JSON:
		append_json(out, list, JSON_INDENT(2));
		buf_append_byte(out, '\n');
		break;
	case OUTPUT_YAML:
		if (json_array_size(list) == 0) {
			buf_append_str(out, STR("[]\n"));
		}
		append_yaml(out, list, 0, false);
		break;
	case OUTPUT_TOML:
		json_array_foreach(list, i, item)
		{
			buf_printf(out, "%s[[%s]]\n", i > 0 ? "\n" : "", noun);
			append_toml_pairs(out, item);
		}
		break;
	}
}

int output_print_list(const cli_call *call, output_form form, const char *noun, const output_column columns[],
					  json_t *list)
{
	buf out;
	buf_init(&out, OUTPUT_BYTES_MAX);
	output_list(&out, form, noun, columns, list);
	int status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
	buf_dispose(&out);
	return status;
}

void output_object(buf *out, output_form form, const output_column columns[], json_t *object)
{
	switch (form) {
	case OUTPUT_TABLE:
		for (size_t c = 0; columns[c].title != NULL; c++) {
			buf_printf(out, "%-20s ", columns[c].title);
			append_cell(out, &columns[c], find_member(object, columns[c].member));
			buf_append_byte(out, '\n');
		}
		break;
	case OUTPUT_JSON:
		append_json(out, object, JSON_INDENT(2));
		buf_append_byte(out, '\n');
		break;
	case OUTPUT_YAML:
		append_yaml(out, object, 0, false);
		break;
	case OUTPUT_TOML:
		append_toml_pairs(out, object);
		break;
	}
}
