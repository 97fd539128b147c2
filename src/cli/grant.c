#include "cli/grant.h"

const char GRANT_DEFAULT_TENANT[] = "default";
const char GRANT_DEFAULT_SCOPES[] = "read,write";

bool grant_parse_scopes(const char *text, uint32_t *out, err *e)
{
	str problem;
	return auth_scopes_parse(str_from_c(text != NULL ? text : GRANT_DEFAULT_SCOPES), out, &problem) ||
		   err_set(e, ERR_INVALID_REQUEST, "`%.*s` is no scope: --scopes takes read, write, delete, admin, or all",
				   STR_ARG(str_take(problem, 40)));
}

bool grant_parse_prefixes(const char *text, str prefixes[AUTH_PREFIXES_MAX], size_t *count, err *e)
{
	str rest = str_from_c(text);
	*count = 0;
	while (rest.ptr != NULL) {
		if (*count == AUTH_PREFIXES_MAX) {
			return err_set(e, ERR_INVALID_REQUEST, "there may be %d prefixes", (int)AUTH_PREFIXES_MAX);
		}
		str_split(rest, ',', &prefixes[*count], &rest);
		(*count)++;
	}
	return true;
}
