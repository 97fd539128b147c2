#include "auth/audit.h"

#include "sql/audit.h"

/* The columns of SQL_AUDIT_PAGE. */
enum { AUDIT_ID, AT_MS, ACTOR, TENANT, ACT, OBJECT, DETAIL };

bool auth_audit_write(db_conn *c, int64_t tenant_id, const auth_audit *row, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, row->actor);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, row->tenant);
	db_param_str(&p, row->act);
	db_param_str(&p, row->object);
	db_param_str(&p, row->detail);
	return db_do(c, &SQL_AUDIT_INSERT, &p, NULL, e);
}

static bool copy_row(const db_result *r, int row, arena *a, auth_audit *out)
{
	out->audit_id = db_i64(r, row, AUDIT_ID);
	out->at_ms = db_i64(r, row, AT_MS);
	return arena_copy_str(a, db_str(r, row, ACTOR), &out->actor) &&
		   arena_copy_str(a, db_str(r, row, TENANT), &out->tenant) &&
		   arena_copy_str(a, db_str(r, row, ACT), &out->act) &&
		   arena_copy_str(a, db_str(r, row, OBJECT), &out->object) &&
		   arena_copy_str(a, db_str(r, row, DETAIL), &out->detail);
}

bool auth_audit_page(db_conn *c, int64_t tenant_id, str tenant, int64_t before_id, uint32_t limit, arena *a,
					 auth_audit **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	if (tenant_id != 0) {
		db_param_i64(&p, tenant_id);
	} else {
		db_param_null(&p);
	}
	db_param_str(&p, tenant);
	db_param_i64(&p, before_id != 0 ? before_id : INT64_MAX);
	db_param_i32(&p, (int32_t)limit);
	if (!db_run(c, &SQL_AUDIT_PAGE, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	auth_audit *list = arena_alloc_array(a, rows + 1, sizeof *list);
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < rows; i++) {
		ok = copy_row(r, (int)i, a, &list[i]);
	}
	db_result_free(r);
	if (!ok) {
		return err_set(e, ERR_NO_MEMORY, "the page does not fit into memory; ask for a smaller one");
	}
	*out = list;
	*count = rows;
	return true;
}
