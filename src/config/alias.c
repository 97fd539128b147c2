#include "config/alias.h"

#include <stdio.h>

#define DEFAULT_HOST STR("127.0.0.1")
#define DEFAULT_PORT STR("4000")

static const struct {
	const char *variable;
	const char *key;
} ALIASES[] = {
	{"TOPICS_ALLOW_INSECURE_NO_AUTH", "allow_public_without_auth"},
	{"TOPICS_API_KEYS", "api_keys"},
	{"TOPICS_MAX_BATCH_RECORDS", "topics_max_batch_records"},
	{"TOPICS_MAX_BODY_BYTES", "max_body_bytes"},
	{"TOPICS_MAX_CLAIM", "topics_max_claim"},
	{"TOPICS_MAX_INFLIGHT_PER_KEY", "topics_max_inflight_per_key"},
	{"TOPICS_MAX_LIMIT", "topics_max_limit"},
	{"TOPICS_MAX_META_BYTES", "topics_max_meta_bytes"},
	{"TOPICS_MAX_NODE_BYTES", "topics_max_node_bytes"},
	{"TOPICS_MAX_RECORD_BYTES", "topics_max_record_bytes"},
	{"TOPICS_MAX_ROUTERS", "max_routers"},
	{"TOPICS_MAX_SSE_CONNECTIONS", "topics_max_sse_connections"},
	{"TOPICS_MAX_SSE_CONNECTIONS_PER_KEY", "topics_max_sse_connections_per_key"},
	{"TOPICS_MAX_TAG_BYTES", "topics_max_tag_bytes"},
	{"TOPICS_MAX_TOPICS", "max_topics"},
	{"TOPICS_MAX_TOTAL_BYTES", "max_total_bytes"},
	{"TOPICS_MAX_WATCH_SESSIONS", "topics_max_watch_sessions"},
	{"TOPICS_MAX_WATCH_TOPICS", "topics_max_watch_topics"},
	{"TOPICS_PORT_FILE", "port_file"},
	{"TOPICS_PROBE_AUTH", "probe_auth"},
};

str config_alias_find(str variable)
{
	for (size_t i = 0; i < sizeof ALIASES / sizeof ALIASES[0]; i++) {
		if (str_equal(variable, str_from_c(ALIASES[i].variable))) {
			return str_from_c(ALIASES[i].key);
		}
	}
	return STR_NONE;
}

static str find_value(char *const *environment, str wanted)
{
	for (; environment != NULL && *environment != NULL; environment++) {
		str variable;
		str value;
		if (str_split(str_from_c(*environment), '=', &variable, &value) && str_equal(variable, wanted)) {
			return str_trim(value);
		}
	}
	return STR_NONE;
}

/* "host:port" and "[::1]:port" have a port; "host", "::1" and "[::1]" have none. */
static void split_port(str *host, str *port)
{
	str name;
	str rest;
	str before;
	str after;
	if (str_starts_with(*host, STR("["))) {
		if (str_split(*host, ']', &name, &rest) && str_starts_with(rest, STR(":"))) {
			*host = str_take(*host, name.len + 1);
			*port = str_skip(rest, 1);
		}
	} else if (str_split(*host, ':', &name, &rest) && !str_split(rest, ':', &before, &after)) {
		*host = name;
		*port = rest;
	}
}

bool config_alias_listen(char *const *environment, char out[CONFIG_ALIAS_LISTEN_BYTES])
{
	size_t colon;
	str host = find_value(environment, STR("TOPICS_HOST"));
	str port = find_value(environment, STR("TOPICS_PORT"));
	str own_port = DEFAULT_PORT;
	if (host.len == 0 && port.len == 0) {
		return false;
	}
	if (host.len == 0) {
		host = DEFAULT_HOST;
	}
	split_port(&host, &own_port);
	bool is_bare_v6 = str_find(host, STR(":"), &colon) && !str_starts_with(host, STR("["));
	int n = snprintf(out, CONFIG_ALIAS_LISTEN_BYTES, is_bare_v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", STR_ARG(host),
					 STR_ARG(port.len > 0 ? port : own_port));
	return n > 0 && n < CONFIG_ALIAS_LISTEN_BYTES;
}
