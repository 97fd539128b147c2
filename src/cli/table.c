#include "cli/table.h"

#include <string.h>

enum { TABLE_MAX_BYTES = 64 << 20 };

/* Every byte that does not continue a character begins one. */
size_t table_characters(str text)
{
	size_t count = 0;
	for (size_t i = 0; i < text.len; i++) {
		count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80 ? 1 : 0;
	}
	return count;
}

void table_init(table *t, const char *const titles[])
{
	memset(t, 0, sizeof *t);
	buf_init(&t->texts, TABLE_MAX_BYTES);
	while (titles[t->columns] != NULL && t->columns < TABLE_COLUMNS_MAX) {
		t->columns++;
	}
	for (size_t i = 0; i < t->columns; i++) {
		table_add(t, str_from_c(titles[i]));
	}
}

void table_dispose(table *t)
{
	buf_dispose(&t->texts);
}

void table_add(table *t, str cell)
{
	str shown = cell.len > 0 ? cell : STR("-");
	size_t *width = &t->widths[t->cells % t->columns];
	size_t characters = table_characters(shown);
	*width = characters > *width ? characters : *width;
	for (size_t i = 0; i < shown.len; i++) {
		buf_append_byte(&t->texts, (unsigned char)shown.ptr[i] < 0x20 ? ' ' : shown.ptr[i]);
	}
	buf_append_byte(&t->texts, '\0');
	t->cells++;
}

void table_print(const table *t, buf *out)
{
	const char *at = t->texts.ptr;
	if (t->texts.failed) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < t->cells; i++) {
		str cell = str_from_c(at);
		size_t column = i % t->columns;
		bool is_last = column + 1 == t->columns;
		buf_append_str(out, cell);
		for (size_t n = table_characters(cell); !is_last && n < t->widths[column] + 2; n++) {
			buf_append_byte(out, ' ');
		}
		if (is_last) {
			buf_append_byte(out, '\n');
		}
		at += cell.len + 1;
	}
}
