/* tidegate topic: create, list, describe, delete and add-partition. */
#include <stdio.h>
#include <string.h>

#include "cli/client/admin.h"
#include "cli/client/amount.h"
#include "cli/client/output.h"

enum { PARTITIONS_MAX = 1024 };

static const output_column LIST_COLUMNS[] = {
	{"NAME", "name", OUTPUT_PLAIN},
	{"PARTITIONS", "partitions", OUTPUT_PLAIN},
	{"REPLICAS", "replication_factor", OUTPUT_PLAIN},
	{"RETENTION TIME", "config.ttl_ms", OUTPUT_DURATION},
	{"MAX SIZE", "config.cap_bytes", OUTPUT_LIMIT},
	{"DURABILITY", "config.durability", OUTPUT_PLAIN},
	{"CREATED", "created_at", OUTPUT_TIME},
	{NULL, NULL, OUTPUT_PLAIN},
};

static const output_column PARTITION_COLUMNS[] = {
	{"PARTITION", "partition", OUTPUT_PLAIN}, {"FIRST", "start_offset", OUTPUT_PLAIN},
	{"NEXT", "end_offset", OUTPUT_PLAIN},     {"RECORDS", "records", OUTPUT_PLAIN},
	{"SIZE", "bytes", OUTPUT_BYTES},          {NULL, NULL, OUTPUT_PLAIN},
};

/* ---- create ---- */

typedef struct creation {
	session s;
	const char *name;
	const char *partitions;
	const char *replication;
	const char *config_path;
	const char *retention;
	const char *segment_size;
	const char *max_partition_size;
	const char *compression;
	const char *dedup_count;
	const char *dedup_age;
	bool dedup;
	bool ignores_racks;
	bool is_dry_run;
} creation;

/* What this server has no use for is refused, or named when it changes nothing. */
static bool check_spec(const creation *c, err *e)
{
	int64_t ignored = 0;
	if (c->dedup || c->dedup_count != NULL || c->dedup_age != NULL) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"topics do not drop repeated keys, so --dedup cannot be kept; what a producer sends again is stored "
			"once without it");
	}
	if (c->compression != NULL && strcmp(c->compression, "any") != 0) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "a topic takes every compression: leave out --compression-type, or write `any`");
	}
	if (!amount_bytes("segment-size", c->segment_size, &ignored, e)) {
		return false;
	}
	if (c->segment_size != NULL) {
		fputs("note: the log has no segments; --segment-size changes nothing\n", stderr);
	}
	return true;
}

/* The members given as options, over those of --config. */
static bool apply_options(const creation *c, json_t *body, err *e)
{
	int64_t partitions = 0;
	int64_t replication = 0;
	int64_t ttl_ms = -1;
	int64_t cap_bytes = -1;
	bool is_done = true;
	if (!check_spec(c, e) || !amount_integer("partitions", c->partitions, 1, PARTITIONS_MAX, &partitions, e) ||
		!amount_integer("replication", c->replication, 1, INT16_MAX, &replication, e) ||
		!amount_duration_ms("retention-time", c->retention, &ttl_ms, e) ||
		!amount_bytes("max-partition-size", c->max_partition_size, &cap_bytes, e)) {
		return false;
	}
	if (partitions > 0) {
		is_done = is_done && json_object_set_new(body, "partitions", json_integer(partitions)) == 0;
	}
	if (replication > 0) {
		is_done = is_done && json_object_set_new(body, "replication_factor", json_integer(replication)) == 0;
	}
	if ((ttl_ms >= 0 || cap_bytes >= 0) && json_object_get(body, "config") == NULL) {
		is_done = is_done && json_object_set_new(body, "config", json_object()) == 0;
	}
	json_t *settings = json_object_get(body, "config");
	if (ttl_ms >= 0) {
		is_done = is_done && json_object_set_new(settings, "ttl_ms", json_integer(ttl_ms)) == 0;
	}
	if (cap_bytes >= 0) {
		is_done = is_done && json_object_set_new(settings, "cap_bytes", json_integer(cap_bytes)) == 0;
	}
	is_done = is_done && json_object_set_new(body, "name", json_string(c->name)) == 0;
	return is_done ||
		   err_set(e, ERR_INVALID_REQUEST, "the topic's name is no UTF-8, or `config` in the file is no object");
}

static json_t *read_body(const creation *c, err *e)
{
	json_error_t where;
	json_t *body =
		c->config_path != NULL ? json_load_file(c->config_path, JSON_REJECT_DUPLICATES, &where) : json_object();
	if (!json_is_object(body)) {
		json_decref(body);
		err_set(e, ERR_INVALID_REQUEST, "--config %.80s must hold a JSON object, as POST /topics takes it: %.120s",
				c->config_path, body == NULL ? where.text : "it is another value");
		return NULL;
	}
	if (!apply_options(c, body, e)) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A name that Fluvio would not take makes it hard to go back. */
static void warn_of_name(const char *name)
{
	size_t len = strlen(name);
	bool is_fine = len >= 1 && len <= 63 && is_letter(name[0]) && is_letter(name[len - 1]);
	for (size_t i = 0; i < len && is_fine; i++) {
		is_fine = is_letter(name[i]) || name[i] == '-';
	}
	if (!is_fine) {
		fputs("note: Fluvio itself takes only names of 1 to 63 characters a-z, 0-9 and `-`, without `-` at the ends\n",
			  stderr);
	}
}

/* Whether it could be made: by looking, which changes nothing. */
static int try_create(const creation *c)
{
	tg_error error;
	buf path;
	const char *const segments[] = {"topics", c->name, NULL};
	admin_path(&path, segments);
	json_t *found = admin_call(&c->s, "GET", &path, NULL, NULL, &error);
	buf_dispose(&path);
	json_decref(found);
	if (found == NULL && error.kind == TG_ERR_TOPIC_NOT_FOUND) {
		printf("topic \"%s\" would be created\n", c->name);
		return CLI_OK;
	}
	if (found != NULL) {
		snprintf(error.message, sizeof error.message, "topic \"%.255s\" exists already", c->name);
	}
	return session_fail(&c->s, &error);
}

static int send_create(const creation *c, const json_t *body)
{
	static const char *const segments[] = {"topics", NULL};
	buf path;
	int http = 0;
	admin_path(&path, segments);
	json_t *made = admin_call(&c->s, "POST", &path, body, &http, NULL);
	buf_dispose(&path);
	json_decref(made);
	if (made == NULL) {
		return CLI_FAILED;
	}
	if (http != 201) {
		char message[320];
		snprintf(message, sizeof message, "topic \"%.255s\" exists already, in this shape", c->name);
		return cli_fail(c->s.call, CLI_FAILED, message);
	}
	printf("topic \"%s\" created\n", c->name);
	return CLI_OK;
}

static int run_create(cli_call *call)
{
	creation c = {.s = {.call = call}};
	int count = 0;
	int status = CLI_FAILED;
	err e;
	json_t *body = NULL;
	const cli_option options[] = {
		SESSION_OPTIONS(c.s),
		{.name = "partitions", .letter = 'p', .value = &c.partitions},
		{.name = "replication", .letter = 'r', .value = &c.replication},
		{.name = "ignore-rack-assignment", .letter = 'i', .flag = &c.ignores_racks},
		{.name = "dry-run", .letter = 'd', .flag = &c.is_dry_run},
		{.name = "config", .letter = 'c', .value = &c.config_path},
		{.name = "retention-time", .value = &c.retention},
		{.name = "segment-size", .value = &c.segment_size},
		{.name = "max-partition-size", .value = &c.max_partition_size},
		{.name = "compression-type", .value = &c.compression},
		{.name = "dedup", .flag = &c.dedup},
		{.name = "dedup-count", .value = &c.dedup_count},
		{.name = "dedup-age", .value = &c.dedup_age},
	};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "`create` takes the name of one topic");
	}
	c.name = call->argv[1];
	body = read_body(&c, &e);
	if (body == NULL) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	warn_of_name(c.name);
	if (session_open(&c.s)) {
		status = c.is_dry_run ? try_create(&c) : send_create(&c, body);
	}
	json_decref(body);
	session_close(&c.s);
	return status;
}

/* ---- list and describe ---- */

/* One topic, or with NULL all of them. */
static int show_topics(cli_call *call, session *s, output_form form, const char *topic)
{
	int status = CLI_FAILED;
	buf out;
	json_t *found = NULL;
	buf_init(&out, OUTPUT_BYTES_MAX);
	if (!session_open(s) || (found = admin_describe(s, topic)) == NULL) {
		goto out;
	}
	if (topic == NULL) {
		output_list(&out, form, "topics", LIST_COLUMNS, found);
	} else {
		json_t *description = json_array_get(found, 0);
		output_object(&out, form, LIST_COLUMNS, description);
		if (form == OUTPUT_TABLE) {
			buf_append_byte(&out, '\n');
			output_list(&out, form, "partitions", PARTITION_COLUMNS, json_object_get(description, "partition_info"));
		}
	}
	status = cli_print(call, &out) ? CLI_OK : CLI_FAILED;
out:
	json_decref(found);
	buf_dispose(&out);
	session_close(s);
	return status;
}

static int run_show(cli_call *call, bool takes_topic)
{
	session s = {.call = call};
	const char *form_name = NULL;
	output_form form = OUTPUT_TABLE;
	int count = 0;
	err e;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "output", .letter = 'O', .value = &form_name}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!output_parse(form_name, &form, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != (takes_topic ? 1 : 0)) {
		return cli_fail(call, CLI_USAGE,
						takes_topic ? "`describe` takes the name of one topic" : "`list` takes options only");
	}
	return show_topics(call, &s, form, takes_topic ? call->argv[1] : NULL);
}

static int run_list(cli_call *call)
{
	return run_show(call, false);
}

static int run_describe(cli_call *call)
{
	return run_show(call, true);
}

/* ---- delete ---- */

static int run_delete(cli_call *call)
{
	session s = {.call = call};
	bool goes_on = false;
	int count = 0;
	int status = CLI_OK;
	err e;
	tg_error error;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "continue-on-error", .flag = &goes_on}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count == 0) {
		return cli_fail(call, CLI_USAGE, "`delete` takes the names of topics");
	}
	if (!session_open(&s)) {
		return CLI_FAILED;
	}
	for (int i = 1; i <= count && (status == CLI_OK || goes_on); i++) {
		const char *const segments[] = {"topics", call->argv[i], NULL};
		if (admin_delete(&s, segments, &error)) {
			printf("topic \"%s\" deleted\n", call->argv[i]);
		} else {
			fprintf(stderr, "tidegate topic: topic \"%s\" not deleted: %s\n", call->argv[i], error.message);
			status = CLI_FAILED;
		}
	}
	session_close(&s);
	return status;
}

/* ---- add-partition ---- */

static int add_partitions(const session *s, const char *topic, int64_t more)
{
	const char *const segments[] = {"topics", topic, NULL};
	buf path;
	json_t *now = admin_get(s, segments);
	if (now == NULL) {
		return CLI_FAILED;
	}
	int64_t partitions = json_integer_value(json_object_get(now, "partitions")) + more;
	json_t *body = json_pack("{s:I}", "partitions", (json_int_t)partitions);
	admin_path(&path, segments);
	json_t *changed = body != NULL ? admin_call(s, "PATCH", &path, body, NULL, NULL) : NULL;
	buf_dispose(&path);
	json_decref(body);
	json_decref(changed);
	json_decref(now);
	if (changed == NULL) {
		return CLI_FAILED;
	}
	printf("added %lld partition%s to topic \"%s\", which has %lld now\n", (long long)more, more == 1 ? "" : "s", topic,
		   (long long)partitions);
	return CLI_OK;
}

static int run_add_partition(cli_call *call)
{
	session s = {.call = call};
	const char *given = NULL;
	int64_t more = 1;
	int count = 0;
	err e;
	const cli_option options[] = {SESSION_OPTIONS(s), {.name = "count", .letter = 'c', .value = &given}};
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, &count, &e) ||
		!amount_integer("count", given, 1, PARTITIONS_MAX, &more, &e)) {
		return cli_fail(call, CLI_USAGE, e.message);
	}
	if (count != 1) {
		return cli_fail(call, CLI_USAGE, "`add-partition` takes the name of one topic");
	}
	int status = session_open(&s) ? add_partitions(&s, call->argv[1], more) : CLI_FAILED;
	session_close(&s);
	return status;
}

static const cli_verb VERBS[] = {
	{"create", run_create},
	{"list", run_list},
	{"describe", run_describe},
	{"delete", run_delete},
	{"add-partition", run_add_partition},
	{NULL, NULL},
};

const cli_command CLI_TOPIC = {
	.name = "topic",
	.summary = "create, list, describe and delete topics, add partitions",
	.verbs = VERBS,
	.help =
		"Usage: tidegate topic create NAME [-p N] [-r N] [-d] [-c FILE] [--retention-time D] [--max-partition-size S]\n"
		"       tidegate topic list [-O FORM]\n"
		"       tidegate topic describe NAME [-O FORM]\n"
		"       tidegate topic delete NAME… [--continue-on-error]\n"
		"       tidegate topic add-partition NAME [-c N]\n\n"
		"create:\n"
		"  -p, --partitions N        1 to 1024 (1)\n"
		"  -r, --replication N       stored and shown; Postgres does the replicating (1)\n"
		"  -i, --ignore-rack-assignment  accepted, as there are no racks\n"
		"  -d, --dry-run             only look whether it could be made\n"
		"  -c, --config FILE         a JSON object as POST /topics takes it, with every setting; options go before it\n"
		"  --retention-time D        delete records that are older: 7d, 12h, 0 = never\n"
		"  --max-partition-size S    delete the oldest records beyond that: 100MiB, 10GB\n"
		"  --segment-size S          accepted; the log has no segments\n"
		"  --compression-type any    a topic takes every compression, so nothing else can be said\n"
		"  --dedup, --dedup-count N, --dedup-age D  refused: keys may repeat\n"
		"delete:\n"
		"  --continue-on-error       go on with the next topic; the exit status still is 1\n"
		"add-partition:\n"
		"  -c, --count N             how many more (1); keys are spread over all partitions from then on\n"
		"list and describe:\n"
		"  -O, --output FORM         table, json, yaml or toml\n" SESSION_HELP "\n"
		"  tidegate topic create orders -p 4 --retention-time 7d\n",
};
