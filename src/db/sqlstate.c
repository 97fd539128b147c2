#include <string.h>

#include "db/private.h"

/* A five-character SQLSTATE or a two-character class; the first match counts. */
static const struct {
	const char *prefix;
	err_code code;
	bool ends_connection;
	const char *advice;
} TABLE[] = {
	{"57P", ERR_UNAVAILABLE, true, "the database is stopping or starting; try again"},
	{"25006", ERR_UNAVAILABLE, true, "the database is read-only, perhaps after a failover; try again"},
	{"53100", ERR_UNAVAILABLE, false, "the database's disk is full; make room and try again"},
	{"53300", ERR_UNAVAILABLE, true, "the database has no free connection; raise its max_connections or try again"},
	{"53", ERR_UNAVAILABLE, false, "the database is short of resources; try again"},
	{"08", ERR_UNAVAILABLE, true, "the connection to the database was lost; try again"},
	{"58", ERR_UNAVAILABLE, false, "the database cannot reach its files; look at its log"},
	{"40", ERR_TIMEOUT, false, "the operation collided with another one; try again"},
	{"55P03", ERR_TIMEOUT, false, "a lock was not free in time; try again"},
	{"57014", ERR_TIMEOUT, false, "the database took too long; try again"},
	{"22021", ERR_INVALID_REQUEST, false, "a text holds bytes that cannot be stored, such as NUL; remove them"},
	{"42P01", ERR_NOT_READY, false, "the schema is missing; run `tidegate migrate`"},
	{"3F000", ERR_NOT_READY, false, "the schema is missing; run `tidegate migrate`"},
	{"26000", ERR_UNAVAILABLE, true, "the database connection lost its prepared statements; try again"},
	{"42P05", ERR_UNAVAILABLE, true, "the database connection has foreign prepared statements; try again"},
	{"28", ERR_UNAVAILABLE, true, "the database refuses this user; check database_url"},
	{"3D000", ERR_UNAVAILABLE, true, "the database does not exist; check database_url"},
};

static size_t find_row(const char *sqlstate)
{
	size_t i = 0;
	while (i < sizeof TABLE / sizeof TABLE[0] && strncmp(sqlstate, TABLE[i].prefix, strlen(TABLE[i].prefix)) != 0) {
		i++;
	}
	return i;
}

err_code sqlstate_code(const char *sqlstate)
{
	size_t row = find_row(sqlstate);
	return row < sizeof TABLE / sizeof TABLE[0] ? TABLE[row].code : ERR_INTERNAL;
}

const char *sqlstate_advice(const char *sqlstate)
{
	size_t row = find_row(sqlstate);
	return row < sizeof TABLE / sizeof TABLE[0] ? TABLE[row].advice : "the database refused a statement; see the log";
}

bool sqlstate_ends_connection(const char *sqlstate)
{
	size_t row = find_row(sqlstate);
	return row < sizeof TABLE / sizeof TABLE[0] && TABLE[row].ends_connection;
}
