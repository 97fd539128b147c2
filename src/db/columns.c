#include "db/columns.h"

void db_columns_init(db_columns *c, size_t bytes_max)
{
	*c = (db_columns){0};
	buf_init(&c->bytes, bytes_max);
}

void db_columns_dispose(db_columns *c)
{
	buf_dispose(&c->bytes);
}

db_array_builder *db_columns_begin(db_columns *c, db_array_type type)
{
	db_array_begin(&c->array, &c->bytes, type);
	return &c->array;
}

void db_columns_end(db_columns *c)
{
	db_array_end(&c->array);
	c->starts[++c->count] = c->bytes.len;
}

void db_columns_add_i64(db_columns *c, const int64_t *values, size_t count)
{
	db_array_builder *a = db_columns_begin(c, DB_INT8);
	for (size_t i = 0; i < count; i++) {
		db_array_add_i64(a, values[i]);
	}
	db_columns_end(c);
}

void db_columns_add_texts(db_columns *c, const str *values, size_t count)
{
	db_array_builder *a = db_columns_begin(c, DB_TEXT);
	for (size_t i = 0; i < count; i++) {
		db_array_add_str(a, values[i]);
	}
	db_columns_end(c);
}

bool db_columns_bind(const db_columns *c, db_params *p, err *e)
{
	if (c->bytes.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for the arrays of a statement");
	}
	for (size_t i = 0; i < c->count; i++) {
		db_param_str(p, (str){c->bytes.ptr + c->starts[i], c->starts[i + 1] - c->starts[i]});
	}
	return true;
}
