#include "cli/postgres_find.h"

#include <glob.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "cli/cli.h"

enum { LEAST_VERSION = 15, PROBE_MS = 10000 };

typedef struct search {
	int wanted_version;
	postgres_server best; /* version 0: none yet */
	int newest_unfit;     /* the newest that was found but cannot serve; 0: none */
} search;

/* The major version from "postgres (PostgreSQL) 15.20 (Debian …)"; 0 when there is none. */
static int read_version(str text)
{
	size_t at;
	size_t digits = 0;
	uint64_t version = 0;

	if (!str_find(text, STR("(PostgreSQL) "), &at)) {
		return 0;
	}
	text = str_skip(text, at + sizeof "(PostgreSQL) " - 1);
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	return str_parse_u64(str_take(text, digits), 1000, &version) ? (int)version : 0;
}

/* Whether bin holds a whole server; its version. */
static bool probe(const char *bin, int *version)
{
	char program[PATH_MAX];
	char option[] = "--version";
	err e = {0};
	buf output;

	int len = snprintf(program, sizeof program, "%s/initdb", bin);
	if (len >= (int)sizeof program || access(program, X_OK) != 0) {
		return false;
	}
	snprintf(program, sizeof program, "%s/postgres", bin);
	if (access(program, X_OK) != 0) {
		return false;
	}
	buf_init(&output, 1 << 16);
	char *const argv[] = {program, option, NULL};
	*version = child_capture(argv, clock_now_ms() + PROBE_MS, &output, &e) ? read_version(buf_str(&output)) : 0;
	buf_dispose(&output);
	return *version > 0;
}

static void consider(search *s, const char *bin)
{
	int version;

	if (!probe(bin, &version)) {
		return;
	}
	if (version < LEAST_VERSION || (s->wanted_version != 0 && version != s->wanted_version)) {
		if (version > s->newest_unfit) {
			s->newest_unfit = version;
		}
	} else if (version > s->best.version) {
		s->best.version = version;
		snprintf(s->best.bin, sizeof s->best.bin, "%s", bin);
	}
}

static void consider_packages(search *s)
{
	glob_t found;

	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			consider(s, found.gl_pathv[i]);
		}
		globfree(&found);
	}
}

static void consider_path(search *s, char *const *environment)
{
	str rest = str_from_c(cli_variable(environment, STR("PATH")));
	bool has_more = rest.len > 0;

	while (has_more) {
		char bin[PATH_MAX];
		str directory;
		has_more = str_split(rest, ':', &directory, &rest);
		if (directory.len > 0 && directory.ptr[0] == '/' && directory.len < sizeof bin) {
			snprintf(bin, sizeof bin, "%.*s", STR_ARG(directory));
			consider(s, bin);
		}
	}
}

/* Where the first pg_config in PATH points. */
static void consider_pg_config(search *s, char *const *environment)
{
	str rest = str_from_c(cli_variable(environment, STR("PATH")));
	bool has_more = rest.len > 0;
	char program[PATH_MAX];
	char option[] = "--bindir";
	err e = {0};
	buf output;

	buf_init(&output, 1 << 16);
	while (has_more) {
		str directory;
		has_more = str_split(rest, ':', &directory, &rest);
		int len = snprintf(program, sizeof program, "%.*s/pg_config", STR_ARG(directory));
		if (directory.len == 0 || len >= (int)sizeof program || access(program, X_OK) != 0) {
			continue;
		}
		char *const argv[] = {program, option, NULL};
		if (child_capture(argv, clock_now_ms() + PROBE_MS, &output, &e)) {
			str bin;
			str ignored;
			str_split(buf_str(&output), '\n', &bin, &ignored);
			snprintf(program, sizeof program, "%.*s", STR_ARG(bin));
			consider(s, program);
		}
		break;
	}
	buf_dispose(&output);
}

bool postgres_find(char *const *environment, int wanted_version, postgres_server *out, err *e)
{
	search s = {.wanted_version = wanted_version};
	const char *named = cli_variable(environment, STR("TIDEGATE_POSTGRES_BIN"));

	if (named != NULL) {
		consider(&s, named);
	} else {
		consider_packages(&s);
		consider_path(&s, environment);
		if (s.best.version == 0) {
			consider_pg_config(&s, environment);
		}
	}
	if (s.best.version != 0) {
		*out = s.best;
		return true;
	}
	if (named != NULL && s.newest_unfit == 0) {
		return err_set(e, ERR_UNAVAILABLE,
					   "TIDEGATE_POSTGRES_BIN is %.120s, but there are no working `postgres` and `initdb` in it",
					   named);
	}
	if (wanted_version != 0) {
		return err_set(e, ERR_UNAVAILABLE,
					   "the data was made by Postgres %d, which is not installed; install it (Debian: apt install "
					   "postgresql-%d), or choose another directory with --data",
					   wanted_version, wanted_version);
	}
	if (s.newest_unfit != 0) {
		return err_set(e, ERR_UNAVAILABLE,
					   "found Postgres %d, but %d or newer is needed (Debian: apt install postgresql)", s.newest_unfit,
					   LEAST_VERSION);
	}
	return err_set(e, ERR_UNAVAILABLE,
				   "there is no Postgres server on this machine; install one (Debian: apt install postgresql), or set "
				   "TIDEGATE_POSTGRES_BIN to the directory of its programs");
}
