#include <endian.h>
#include <string.h>

#include "db/private.h"

void db_params_init(db_params *p)
{
	p->count = 0;
}

static void add(db_params *p, const char *value, size_t len)
{
	if (p->count < DB_PARAMS_MAX) {
		p->values[p->count] = value;
		p->lengths[p->count] = (int)len;
		p->count++;
	}
}

void db_param_null(db_params *p)
{
	add(p, NULL, 0);
}

void db_param_bool(db_params *p, bool value)
{
	if (p->count < DB_PARAMS_MAX) {
		p->scratch[p->count].byte = value ? 1 : 0;
		add(p, &p->scratch[p->count].byte, 1);
	}
}

void db_param_i32(db_params *p, int32_t value)
{
	if (p->count < DB_PARAMS_MAX) {
		p->scratch[p->count].i32_be = (int32_t)htobe32((uint32_t)value);
		add(p, (const char *)&p->scratch[p->count].i32_be, sizeof value);
	}
}

void db_param_i64(db_params *p, int64_t value)
{
	if (p->count < DB_PARAMS_MAX) {
		p->scratch[p->count].i64_be = (int64_t)htobe64((uint64_t)value);
		add(p, (const char *)&p->scratch[p->count].i64_be, sizeof value);
	}
}

void db_param_str(db_params *p, str value)
{
	add(p, value.ptr, value.len);
}

/* ---- results ---- */

void db_result_free(db_result *r)
{
	if (r != NULL) {
		PQclear(r->pg);
		free(r);
	}
}

db_result *result_wrap(PGresult *pg)
{
	db_result *r = malloc(sizeof *r);
	if (r == NULL) {
		PQclear(pg);
		return NULL;
	}
	r->pg = pg;
	return r;
}

size_t db_result_bytes(const db_result *r)
{
	return PQresultMemorySize(r->pg);
}

int db_rows(const db_result *r)
{
	return PQntuples(r->pg);
}

int64_t db_affected(const db_result *r)
{
	uint64_t count = 0;
	str text = str_from_c(PQcmdTuples(r->pg));
	return str_parse_u64(text, INT64_MAX, &count) ? (int64_t)count : 0;
}

bool db_is_null(const db_result *r, int row, int column)
{
	return PQgetisnull(r->pg, row, column) == 1;
}

bool db_bool(const db_result *r, int row, int column)
{
	return PQgetlength(r->pg, row, column) == 1 && PQgetvalue(r->pg, row, column)[0] != 0;
}

int32_t db_i32(const db_result *r, int row, int column)
{
	uint32_t value = 0;
	if (PQgetlength(r->pg, row, column) == (int)sizeof value) {
		memcpy(&value, PQgetvalue(r->pg, row, column), sizeof value);
	}
	return (int32_t)be32toh(value);
}

int64_t db_i64(const db_result *r, int row, int column)
{
	uint64_t value = 0;
	if (PQgetlength(r->pg, row, column) == (int)sizeof value) {
		memcpy(&value, PQgetvalue(r->pg, row, column), sizeof value);
	}
	return (int64_t)be64toh(value);
}

str db_str(const db_result *r, int row, int column)
{
	if (PQgetisnull(r->pg, row, column) == 1) {
		return STR_NONE;
	}
	return (str){PQgetvalue(r->pg, row, column), (size_t)PQgetlength(r->pg, row, column)};
}
