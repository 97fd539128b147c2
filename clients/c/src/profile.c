/*
 * The file of profiles. It is changed by replacing parts of its text, so that comments and whatever else people keep there
 * stay.
 */
#include "profile.h"

#include "error.h"
#include "profile_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20, PATH_BYTES_MAX = 4096 };

/* ---- the file ---- */

static tg_status find_path(char path[PATH_BYTES_MAX], tg_error *error)
{
	const char *named = getenv("TIDEGATE_PROFILES");
	const char *home = getenv("HOME");
	int len = named != NULL && named[0] != '\0'
				  ? snprintf(path, PATH_BYTES_MAX, "%s", named)
				  : snprintf(path, PATH_BYTES_MAX, "%s/.config/tidegate/profiles.toml", home != NULL ? home : "");
	if (len < 0 || len >= PATH_BYTES_MAX) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "the path of the profile file is too long");
	}
	return TG_OK;
}

/* A file that does not exist is empty. */
static tg_status read_file(const char *path, buffer *text, bool *exists, tg_error *error)
{
	tg_status status = TG_OK;
	size_t got = 0;
	bool is_ready = tgi_buffer_reserve(text, FILE_BYTES_MAX);
	FILE *file = fopen(path, "re");
	*exists = file != NULL;
	if (is_ready && file == NULL && errno == ENOENT) {
		return TG_OK;
	}
	if (is_ready && file != NULL) {
		got = fread(text->ptr, 1, FILE_BYTES_MAX, file);
		text->len = got;
	}
	if (is_ready && (file == NULL || ferror(file))) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "the profile file %s cannot be read: %s", path,
							   strerror(errno));
	} else if (text->failed) {
		status = tgi_error_no_memory(error);
	} else if (got == FILE_BYTES_MAX) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "the profile file %s is larger than 1 MiB", path);
	}
	if (file != NULL) {
		fclose(file);
	}
	return status;
}

/* The directories above the file that are missing. */
static void make_directories(const char *path)
{
	char part[PATH_BYTES_MAX];
	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0700) != 0 && errno != EEXIST) {
			return; /* making the file tells why */
		}
	}
}

/* As a whole or not at all; for its owner only, as it may hold keys. */
static tg_status write_file(const char *path, const buffer *text, tg_error *error)
{
	char draft[PATH_BYTES_MAX + 8];
	if (text->failed) {
		return tgi_error_no_memory(error);
	}
	make_directories(path);
	snprintf(draft, sizeof draft, "%s.XXXXXX", path);
	int fd = mkstemp(draft);
	bool is_done = fd >= 0;
	for (size_t done = 0; is_done && done < text->len;) {
		ssize_t wrote = write(fd, text->ptr + done, text->len - done);
		is_done = wrote > 0;
		done += is_done ? (size_t)wrote : 0;
	}
	is_done = is_done && fsync(fd) == 0 && rename(draft, path) == 0;
	if (!is_done) {
		tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "the profile file %s cannot be written: %s", path,
					  strerror(errno));
		if (fd >= 0) {
			unlink(draft);
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return is_done ? TG_OK : TG_ERR_INVALID_ARGUMENT;
}

/* ---- what stands in it ---- */

/* One profile as it is read. */
typedef struct draft {
	bool is_open;
	char name[TEXT_BYTES_MAX + 1];
	char endpoint[TEXT_BYTES_MAX + 1];
	char key[TEXT_BYTES_MAX + 1];
} draft;

static bool hand_out(const draft *d, const char *current, tg_profile_visit visit, void *context)
{
	const tg_profile profile = {
		.name = d->name,
		.endpoint = d->endpoint,
		.key = d->key[0] != '\0' ? d->key : NULL,
		.is_current = strcmp(d->name, current) == 0,
	};
	return !d->is_open || visit(context, &profile);
}

static tg_status take_pair(draft *d, const line *l, const char *path, tg_error *error)
{
	char *to = strcmp(l->name, "endpoint") == 0 ? d->endpoint : strcmp(l->name, "key") == 0 ? d->key : NULL;
	if (to == NULL) {
		return TG_OK;
	}
	if (!l->has_value) {
		return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "line %u of %s: write %s = \"…\"", l->number, path,
							 l->name);
	}
	memcpy(to, l->value, strlen(l->value) + 1);
	return TG_OK;
}

static tg_status visit_all(const buffer *text, const char *path, tg_profile_visit visit, void *context, tg_error *error)
{
	char current[TEXT_BYTES_MAX + 1];
	draft d = {0};
	line l = {0};
	tgi_profile_find_current(text, current);
	while (tgi_profile_next_line(text, &l)) {
		if (tgi_profile_is_head(&l)) {
			if (!hand_out(&d, current, visit, context)) {
				return TG_OK;
			}
			d = (draft){.is_open = l.kind == LINE_PROFILE};
			memcpy(d.name, l.name, sizeof d.name);
		} else if (l.kind == LINE_PAIR && d.is_open) {
			tg_status status = take_pair(&d, &l, path, error);
			if (status != TG_OK) {
				return status;
			}
		}
	}
	hand_out(&d, current, visit, context);
	return TG_OK;
}

tg_status tg_profile_list(tg_profile_visit visit, void *context, tg_error *error)
{
	char path[PATH_BYTES_MAX];
	buffer text = {0};
	bool exists = false;
	tg_status status = find_path(path, error);
	if (status == TG_OK) {
		status = read_file(path, &text, &exists, error);
	}
	if (status == TG_OK) {
		status = visit_all(&text, path, visit, context, error);
	}
	tgi_buffer_dispose(&text);
	return status;
}

/* ---- changes ---- */

static void replace(buffer *text, size_t begin, size_t end, const buffer *by)
{
	buffer made = {0};
	tgi_buffer_reserve(&made, text->len + by->len + 1);
	tgi_buffer_append(&made, text->ptr, begin);
	tgi_buffer_append(&made, by->ptr, by->len);
	tgi_buffer_append(&made, text->ptr + end, text->len - end);
	made.failed = made.failed || by->failed;
	tgi_buffer_dispose(text);
	*text = made;
}

static void write_pair(buffer *out, const char *name, const char *value)
{
	tgi_buffer_text(out, name);
	tgi_buffer_text(out, " = ");
	tgi_buffer_json_string(out, value, strlen(value)); /* TOML's basic texts are written like JSON's */
	tgi_buffer_text(out, "\n");
}

static void write_head(buffer *out, const char *name)
{
	tgi_buffer_text(out, "[profile.");
	tgi_buffer_text(out, name);
	tgi_buffer_text(out, "]\n");
}

static void set_current(buffer *text, const char *name)
{
	buffer by = {0};
	line l = {0};
	size_t begin = 0;
	size_t end = 0;
	while (tgi_profile_next_line(text, &l) && !tgi_profile_is_head(&l)) {
		if (l.kind == LINE_PAIR && strcmp(l.name, "current") == 0) {
			begin = (size_t)(l.begin - text->ptr);
			end = (size_t)(l.end - text->ptr);
		}
	}
	write_pair(&by, "current", name);
	replace(text, begin, end, &by);
	tgi_buffer_dispose(&by);
}

static tg_status check_name(const char *name, tg_error *error)
{
	size_t len = name != NULL ? strlen(name) : 0;
	for (size_t i = 0; i < len; i++) {
		len = tgi_profile_is_bare(name[i]) ? len : 0;
	}
	return len > 0 && len <= 64 ? TG_OK
								: tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
												"a profile's name has 1 to 64 letters, digits, `-` and `_`");
}

static tg_status refuse_unknown(const char *path, const char *name, tg_error *error)
{
	return tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "there is no profile `%.64s` in %s", name, path);
}

tg_status tg_profile_set(const char *name, const char *endpoint, const char *key, tg_error *error)
{
	char path[PATH_BYTES_MAX];
	char current[TEXT_BYTES_MAX + 1];
	buffer text = {0};
	buffer by = {0};
	bool exists;
	tg_config *probe = tg_config_new();
	tg_status status = check_name(name, error);
	if (status == TG_OK && (probe == NULL || tg_config_set_endpoint(probe, endpoint) != TG_OK ||
							tg_config_set_api_key(probe, key) != TG_OK || strlen(endpoint) > TEXT_BYTES_MAX ||
							(key != NULL && strlen(key) > TEXT_BYTES_MAX))) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
							   "an endpoint is an http:// or https:// URL, and a key is one line");
	}
	tg_config_free(probe);
	if (status != TG_OK || (status = find_path(path, error)) != TG_OK ||
		(status = read_file(path, &text, &exists, error)) != TG_OK) {
		goto out;
	}
	size_t begin = text.len;
	size_t end = text.len;
	bool is_new = !tgi_profile_find(&text, name, &begin, &end);
	if (is_new && text.len > 0 && text.ptr[text.len - 1] != '\n') {
		tgi_buffer_text(&by, "\n");
	}
	write_head(&by, name);
	write_pair(&by, "endpoint", endpoint);
	if (key != NULL && key[0] != '\0') {
		write_pair(&by, "key", key);
	}
	begin = is_new ? text.len : begin;
	replace(&text, begin, end, &by);
	tgi_profile_find_current(&text, current);
	if (current[0] == '\0') {
		set_current(&text, name);
	}
	status = write_file(path, &text, error);
out:
	tgi_buffer_dispose(&by);
	tgi_buffer_dispose(&text);
	return status;
}

/* What is done with the text of a file that has the profile, in bytes begin to end. */
typedef void (*change)(buffer *text, size_t begin, size_t end, const char *name, const char *to);

static tg_status change_profile(const char *name, const char *to, change act, tg_error *error)
{
	char path[PATH_BYTES_MAX];
	buffer text = {0};
	size_t begin = 0;
	size_t end = 0;
	bool exists;
	tg_status status = find_path(path, error);
	if (status != TG_OK || (status = read_file(path, &text, &exists, error)) != TG_OK) {
		goto out;
	}
	if (name == NULL || !tgi_profile_find(&text, name, &begin, &end)) {
		status = refuse_unknown(path, name != NULL ? name : "", error);
	} else if (to != NULL && strcmp(name, to) != 0 && tgi_profile_find(&text, to, &begin, &end)) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT, "there is a profile `%.64s` already", to);
	} else {
		act(&text, begin, end, name, to);
		status = write_file(path, &text, error);
	}
out:
	tgi_buffer_dispose(&text);
	return status;
}

static void act_switch(buffer *text, size_t begin, size_t end, const char *name, const char *to)
{
	(void)begin;
	(void)end;
	(void)to;
	set_current(text, name);
}

static void act_delete(buffer *text, size_t begin, size_t end, const char *name, const char *to)
{
	const buffer nothing = {0};
	(void)name;
	(void)to;
	replace(text, begin, end, &nothing);
}

static void act_rename(buffer *text, size_t begin, size_t end, const char *name, const char *to)
{
	char current[TEXT_BYTES_MAX + 1];
	buffer head = {0};
	const char *feed = memchr(text->ptr + begin, '\n', end - begin);
	write_head(&head, to);
	replace(text, begin, feed != NULL ? (size_t)(feed + 1 - text->ptr) : end, &head);
	tgi_buffer_dispose(&head);
	tgi_profile_find_current(text, current);
	if (strcmp(current, name) == 0) {
		set_current(text, to);
	}
}

tg_status tg_profile_switch(const char *name, tg_error *error)
{
	return change_profile(name, NULL, act_switch, error);
}

tg_status tg_profile_delete(const char *name, tg_error *error)
{
	return change_profile(name, NULL, act_delete, error);
}

tg_status tg_profile_rename(const char *name, const char *to, tg_error *error)
{
	tg_status status = check_name(to, error);
	return status == TG_OK ? change_profile(name, to, act_rename, error) : status;
}

/* ---- for a configuration ---- */

typedef struct wanted {
	tg_config *config;
	const char *name; /* NULL = the current one */
	tg_status status;
	bool is_found;
} wanted;

static bool take_wanted(void *context, const tg_profile *profile)
{
	wanted *w = context;
	if (w->name != NULL ? strcmp(profile->name, w->name) != 0 : !profile->is_current) {
		return true;
	}
	w->is_found = true;
	w->status = tg_config_set_endpoint(w->config, profile->endpoint);
	if (w->status == TG_OK) {
		w->status = tg_config_set_api_key(w->config, profile->key);
	}
	return false;
}

tg_status tgi_profile_apply(tg_config *config, const char *name, tg_error *error)
{
	char path[PATH_BYTES_MAX];
	buffer text = {0};
	bool exists = false;
	const char *named = getenv("TIDEGATE_PROFILES");
	wanted w = {.config = config, .name = name};
	tg_status status = find_path(path, error);
	if (status != TG_OK || (status = read_file(path, &text, &exists, error)) != TG_OK) {
		goto out;
	}
	if (!exists && name == NULL && (named == NULL || named[0] == '\0')) {
		goto out;
	}
	if (!exists) {
		status = tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
							   "there is no profile file %s; `tidegate profile add` makes one", path);
		goto out;
	}
	status = visit_all(&text, path, take_wanted, &w, error);
	if (status == TG_OK && !w.is_found && name != NULL) {
		status = refuse_unknown(path, name, error);
	} else if (status == TG_OK && !w.is_found) {
		status =
			tgi_error_set(error, TG_ERR_INVALID_ARGUMENT,
						  "%s says of no profile that it is the current one; `tidegate profile switch` does", path);
	} else if (status == TG_OK && w.status != TG_OK) {
		status = tgi_error_set(error, w.status, "a profile of %s has no endpoint that begins with http:// or https://",
							   path);
	}
out:
	tgi_buffer_dispose(&text);
	return status;
}
