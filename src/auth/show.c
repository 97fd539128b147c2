#include "auth/show.h"

#include "base/jwrite.h"

str auth_show_status(auth_key_status status)
{
	switch (status) {
	case AUTH_KEY_ACTIVE:
		return STR("active");
	case AUTH_KEY_REPLACED:
		return STR("replaced");
	case AUTH_KEY_EXPIRED:
		return STR("expired");
	case AUTH_KEY_REVOKED:
		return STR("revoked");
	}
	return STR("");
}

static void write_time(buf *out, const char *name, int64_t time_ms)
{
	if (time_ms == 0) {
		buf_printf(out, ",\"%s\":null", name);
	} else {
		buf_printf(out, ",\"%s\":%lld", name, (long long)time_ms);
	}
}

static void write_scopes(buf *out, uint32_t scopes)
{
	bool is_first = true;
	for (uint32_t scope = AUTH_SCOPE_READ; scope <= AUTH_SCOPE_ADMIN; scope *= 2) {
		if ((scopes & scope) != 0) {
			buf_append_str(out, is_first ? STR("") : STR(","));
			jwrite_string(out, auth_scope_name(scope));
			is_first = false;
		}
	}
}

void auth_show_key(buf *out, const auth_key_info *key)
{
	jwrite_key(out, "key_id");
	jwrite_string(out, key->key_id);
	buf_append_str(out, STR(",\"tenant\":"));
	jwrite_string(out, key->tenant);
	buf_append_str(out, STR(",\"name\":"));
	jwrite_string(out, key->name);
	buf_append_str(out, STR(",\"scopes\":["));
	write_scopes(out, key->scopes);
	buf_append_str(out, STR("],\"prefixes\":["));
	for (size_t i = 0; i < key->prefix_count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		jwrite_string(out, key->prefixes[i]);
	}
	buf_append_str(out, STR("],\"status\":"));
	jwrite_string(out, auth_show_status(key->status));
	buf_printf(out, ",\"created_ms\":%lld", (long long)key->created_ms);
	write_time(out, "expires_ms", key->expires_ms);
	write_time(out, "revoked_ms", key->revoked_ms);
	write_time(out, "last_used_ms", key->last_used_ms);
	buf_append_str(out, STR(",\"replaced_by\":"));
	if (key->replaced_by.len > 0) {
		jwrite_string(out, key->replaced_by);
	} else {
		buf_append_str(out, STR("null"));
	}
}

static void write_limits(buf *out, const limit_set *limits)
{
	const char *before = "";
	buf_append_str(out, STR(",\"limits\":{"));
	for (int scope = 0; scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; kind < LIMIT_KINDS; kind++) {
			if (limits->most[scope][kind] >= 0) {
				buf_printf(out, "%s\"%s\":%lld", before, limit_name((limit_kind)kind, (limit_scope)scope),
						   (long long)limits->most[scope][kind]);
				before = ",";
			}
		}
	}
	buf_append_byte(out, '}');
}

void auth_show_tenant(buf *out, const auth_tenant *tenant)
{
	jwrite_key(out, "name");
	jwrite_string(out, tenant->name);
	buf_printf(out, ",\"created_ms\":%lld,\"auto_create\":", (long long)tenant->created_ms);
	if (tenant->auto_create == AUTH_CHOICE_SERVER) {
		buf_append_str(out, STR("null"));
	} else {
		jwrite_bool(out, tenant->auto_create == AUTH_CHOICE_ON);
	}
	buf_printf(out, ",\"topics\":%lld,\"keys\":%lld", (long long)tenant->topics, (long long)tenant->keys);
	write_limits(out, &tenant->limits);
}
