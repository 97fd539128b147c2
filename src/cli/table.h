/*
 * cli/table: rows of texts as aligned columns, two blanks apart, without colours or lines: for eyes and for awk alike.
 *
 * Owns     copies of the cells, until table_dispose().
 * Threads  one at a time.
 * Errors   sticky, as of buf: table_print() then makes its buffer failed.
 */
#ifndef TIDEGATE_CLI_TABLE_H
#define TIDEGATE_CLI_TABLE_H

#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

typedef struct table {
	size_t columns;
	size_t cells;
	size_t widths[TABLE_COLUMNS_MAX]; /* characters */
	buf texts;                        /* every cell, each ended by NUL, in order */
} table;

/* titles: the first row, an array that ends with NULL. */
void table_init(table *t, const char *const titles[]);
void table_dispose(table *t);
/* The next cell, row by row. An empty one is shown as "-". Control characters are shown as blanks. */
void table_add(table *t, str cell);
void table_print(const table *t, buf *out);

/* How many columns a UTF-8 text takes, when no character is wide. */
size_t table_characters(str text);

#endif
