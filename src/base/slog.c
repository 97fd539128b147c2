#include "base/slog.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 4096, /* POSIX PIPE_BUF on Linux: a pipe takes such a write whole too */
	LINE_END_BYTES = 3,    /* a closing quote, a closing brace, the newline */
	ELLIPSIS_BYTES = 3,
};

struct slog {
	int fd;
	slog_level least;
	slog_format format;
};

typedef struct line {
	char bytes[LINE_MAX_BYTES];
	size_t len;
} line;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

slog *slog_new(int fd, slog_level least, slog_format format)
{
	slog *log = malloc(sizeof *log);
	if (log != NULL) {
		*log = (slog){fd, least, format};
	}
	return log;
}

void slog_free(slog *log)
{
	free(log);
}

bool slog_enabled(const slog *log, slog_level level)
{
	return log != NULL && level >= log->least;
}

/* All or nothing, leaving room for the line's end. */
static bool put(line *l, str s)
{
	if (l->len + s.len > sizeof l->bytes - LINE_END_BYTES) {
		return false;
	}
	memcpy(l->bytes + l->len, s.ptr, s.len);
	l->len += s.len;
	return true;
}

/* The next character of s as it stands in a line: escaped, or U+FFFD for a malformed byte. Advances s. */
static str take_escaped(str *s, char room[8])
{
	size_t length = text_utf8_length(*s);
	unsigned char c = (unsigned char)s->ptr[0];
	str shown = str_take(*s, length);
	if (length == 0) {
		length = 1;
		shown = STR("\xEF\xBF\xBD");
	} else if (c == '"' || c == '\\') {
		shown = (str){room, (size_t)snprintf(room, 8, "\\%c", c)};
	} else if (c == '\n') {
		shown = STR("\\n");
	} else if (c < 0x20 || c == 0x7F) {
		shown = (str){room, (size_t)snprintf(room, 8, "\\u%04x", c)};
	}
	*s = str_skip(*s, length);
	return shown;
}

/* Cut, with an ellipsis, after SLOG_VALUE_MAX bytes: one long value must not push out what follows. */
static void put_escaped(line *l, str s)
{
	size_t end = l->len + SLOG_VALUE_MAX;
	size_t line_end = sizeof l->bytes - LINE_END_BYTES;
	if (end > line_end) {
		end = line_end;
	}
	while (s.len > 0) {
		char room[8];
		str shown = take_escaped(&s, room);
		if (l->len + shown.len + ELLIPSIS_BYTES > end) {
			put(l, STR("\xE2\x80\xA6"));
			return;
		}
		put(l, shown);
	}
}

static void put_quoted(line *l, str s)
{
	if (put(l, STR("\""))) {
		put_escaped(l, s);
		l->bytes[l->len++] = '"'; /* within LINE_END_BYTES */
	}
}

/* In text form a value needs quotes when it could be taken for something else. */
static bool is_bare_word(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '=' || s.ptr[i] == '\\') {
			return false;
		}
	}
	return s.len > 0;
}

static void put_field(line *l, slog_format format, const slog_field *field)
{
	char number[24];
	str digits = {number, (size_t)snprintf(number, sizeof number, "%lld", (long long)field->number)};
	str key = str_from_c(field->key);
	/* A field has its key, some of its value and its punctuation, or is left out. */
	if (l->len + key.len + sizeof number + 8 > sizeof l->bytes - LINE_END_BYTES) {
		return;
	}
	put(l, format == SLOG_JSON ? STR(",\"") : STR(" "));
	put(l, key);
	put(l, format == SLOG_JSON ? STR("\":") : STR("="));
	if (field->kind == SLOG_FIELD_INT) {
		put(l, digits);
	} else if (format == SLOG_TEXT && is_bare_word(field->text)) {
		put_escaped(l, field->text);
	} else {
		put_quoted(l, field->text);
	}
}

static void put_time(line *l)
{
	int64_t now_ms = clock_wall_ms();
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	char text[40];
	size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	put(l, (str){text, len});
	len = (size_t)snprintf(text, sizeof text, ".%03dZ", (int)(now_ms % 1000));
	put(l, (str){text, len});
}

/* The parts that every line has. */
static void put_head(line *l, slog_format format, slog_level level, str component, str message)
{
	if (format == SLOG_TEXT) {
		put_time(l);
		put(l, STR(" "));
		put(l, str_from_c(level_names[level]));
		put(l, STR(" "));
		put_escaped(l, component);
		put(l, STR(": "));
		put_escaped(l, message);
		return;
	}
	put(l, STR("{\"time\":\""));
	put_time(l);
	put(l, STR("\",\"level\":\""));
	put(l, str_from_c(level_names[level]));
	put(l, STR("\",\"component\":"));
	put_quoted(l, component);
	put(l, STR(",\"message\":"));
	put_quoted(l, message);
}

void slog_write(slog *log, slog_level level, const char *component, const char *message, const slog_field *fields,
				size_t field_count)
{
	if (!slog_enabled(log, level)) {
		return;
	}
	line l;
	l.len = 0;
	put_head(&l, log->format, level, str_from_c(component), str_from_c(message));
	for (size_t i = 0; i < field_count; i++) {
		put_field(&l, log->format, &fields[i]);
	}
	if (log->format == SLOG_JSON) {
		l.bytes[l.len++] = '}';
	}
	l.bytes[l.len++] = '\n';
	/* A line that cannot be written is dropped: there is nowhere to report it, and waiting would stop the service. */
	ssize_t written;
	do {
		written = write(log->fd, l.bytes, l.len);
	} while (written < 0 && errno == EINTR);
}

void slog_err(slog *log, slog_level level, const char *component, const char *message, const err *e)
{
	char frames[256] = "";
	size_t len = 0;
	for (size_t i = 0; i < e->frame_count && len < sizeof frames; i++) {
		len += (size_t)snprintf(frames + len, sizeof frames - len, "%s%s", i == 0 ? "" : " < ", e->frames[i]);
	}
	slog_field fields[5];
	size_t count = 0;
	fields[count++] = F_C("code", err_wire_code(e->code));
	fields[count++] = F_C("error", e->message);
	if (e->log[0] != '\0') {
		fields[count++] = F_C("cause", e->log);
	}
	if (e->sqlstate[0] != '\0') {
		fields[count++] = F_C("sqlstate", e->sqlstate);
	}
	if (frames[0] != '\0') {
		fields[count++] = F_C("while", frames);
	}
	slog_write(log, level, component, message, fields, count);
}

bool slog_level_parse(str text, slog_level *out)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (str_equal(text, str_from_c(level_names[i]))) {
			*out = (slog_level)i;
			return true;
		}
	}
	return false;
}

bool slog_format_parse(str text, slog_format *out)
{
	bool is_json = str_equal(text, STR("json"));
	if (!is_json && !str_equal(text, STR("text"))) {
		return false;
	}
	*out = is_json ? SLOG_JSON : SLOG_TEXT;
	return true;
}
