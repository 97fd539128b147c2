/*
 * Every named query against a freshly migrated database: the server must understand it, and want as many parameters as
 * its callers count. libpq itself, because only the protocol can prepare BEGIN.
 */
#include <libpq-fe.h>

#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "db/db_fixture.h"
#include "db/migrate.h"
#include "postgres_fixture.h"

enum { REASON_MAX = 512 };

/* False with the reason. */
static bool check_query(PGconn *pg, const db_query *query, int index, char reason[REASON_MAX])
{
	PGresult *prepared = PQprepare(pg, query->name, query->text, 0, NULL);
	PGresult *described = PQdescribePrepared(pg, query->name);
	reason[0] = '\0';
	if (PQresultStatus(prepared) != PGRES_COMMAND_OK) {
		snprintf(reason, REASON_MAX, "%s", PQresultErrorMessage(prepared));
	} else if (PQresultStatus(described) != PGRES_COMMAND_OK) {
		snprintf(reason, REASON_MAX, "%s", PQresultErrorMessage(described));
	} else if (PQnparams(described) != query->parameter_count) {
		snprintf(reason, REASON_MAX, "the server wants %d parameters, parameter_count is %d", PQnparams(described),
				 query->parameter_count);
	} else if (query->index != index) {
		snprintf(reason, REASON_MAX, "index %d at place %d", query->index, index);
	}
	PQclear(prepared);
	PQclear(described);
	return reason[0] == '\0';
}

START_TEST(every_query_can_be_prepared_and_counts_its_parameters)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	int applied = 0;
	int failures = 0;
	char reason[REASON_MAX];
	err e;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, 30000);
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	db_conn_free(c);
	PGconn *pg = PQconnectdb(url);
	ck_assert_int_eq(PQstatus(pg), CONNECTION_OK);
	for (int i = 0; i < SQL_QUERY_COUNT; i++) {
		if (!check_query(pg, SQL_QUERIES[i], i, reason)) {
			fprintf(stderr, "%s: %s\n", SQL_QUERIES[i]->name, reason);
			failures++;
		}
	}
	ck_assert_int_gt(SQL_QUERY_COUNT, 0);
	ck_assert_msg(failures == 0, "%d queries do not fit the schema, see above", failures);
	/* The check can fail. */
	ck_assert(!check_query(pg, &(db_query){"wrong_column", 0, 0, "SELECT nothing FROM tidegate.topic"}, 0, reason));
	ck_assert(!check_query(pg, &(db_query){"wrong_count", 0, 2, "SELECT $1::int"}, 0, reason));
	PQfinish(pg);
}
END_TEST

/* db/conn takes a statement that begins with SELECT for one that cannot have taken effect. */
START_TEST(query_that_begins_with_select_changes_no_table)
{
	for (int i = 0; i < SQL_QUERY_COUNT; i++) {
		const db_query *q = SQL_QUERIES[i];
		if (strncmp(q->text, "SELECT", 6) == 0) {
			ck_assert_msg(strstr(q->text, "INSERT INTO") == NULL && strstr(q->text, "DELETE FROM") == NULL, "%s",
						  q->name);
		}
		ck_assert_int_le(q->parameter_count, DB_PARAMS_MAX);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_query_can_be_prepared_and_counts_its_parameters,
		query_that_begins_with_select_changes_no_table,
	};
	postgres_fixture_url();
	return SUITE_RUN("db/queries", tests);
}
