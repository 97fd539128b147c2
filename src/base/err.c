#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where to cut text[0..len) so that no UTF-8 character is left incomplete. */
static size_t cut_at_character(const char *text, size_t len)
{
	size_t start = len;
	while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80) {
		start--;
	}
	return start;
}

/*
 * Formats into out[size]. An argument may be a text of the same err (err_set(e, code, "x: %s", e->message)), so the
 * result is made aside. False when it had to be cut.
 */
static bool format_text(char *out, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
static bool format_text(char *out, size_t size, const char *format, va_list args)
{
	char made[ERR_DETAIL_MAX + 1];
	_Static_assert((int)ERR_DETAIL_MAX >= (int)ERR_MESSAGE_MAX && (int)ERR_DETAIL_MAX >= (int)ERR_LOG_MAX,
				   "made[] holds the longest field and the byte behind it");
	made[0] = '\0';
	int full = vsnprintf(made, size + 1, format, args);
	size_t len = strlen(made);
	bool is_cut = full < 0 || (size_t)full >= size;
	if (len >= size) {
		len = cut_at_character(made, size - 1);
	}
	memcpy(out, made, len);
	out[len] = '\0';
	return !is_cut;
}

bool err_set(err *e, err_code code, const char *format, ...)
{
	char message[ERR_MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	format_text(message, sizeof message, format, args);
	va_end(args);
	err_clear(e);
	e->code = code;
	memcpy(e->message, message, sizeof message);
	return false;
}

void err_detail(err *e, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (!format_text(e->detail, sizeof e->detail, format, args)) {
		e->detail[0] = '\0'; /* half an object is worse than none */
	}
	va_end(args);
}

void err_log(err *e, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	format_text(e->log, sizeof e->log, format, args);
	va_end(args);
}

bool err_frame(err *e, const char *what)
{
	/* When full, the outer frames are the ones a reader can do without. */
	if (e->frame_count < ERR_FRAMES_MAX) {
		e->frames[e->frame_count++] = what;
	}
	return false;
}

void err_clear(err *e)
{
	e->code = ERR_NONE;
	e->sqlstate[0] = '\0';
	e->retry_after_ms = 0;
	e->message[0] = '\0';
	e->detail[0] = '\0';
	e->log[0] = '\0';
	e->frame_count = 0;
}

const char *err_wire_code(err_code code)
{
	switch (code) {
	case ERR_NONE:
		break;
#define ERR_WIRE(name, wire, status)                                                                                   \
	case ERR_##name:                                                                                                   \
		return wire;
		ERR_TABLE(ERR_WIRE)
#undef ERR_WIRE
	}
	return "internal";
}

int err_http_status(err_code code)
{
	switch (code) {
	case ERR_NONE:
		break;
#define ERR_STATUS(name, wire, status)                                                                                 \
	case ERR_##name:                                                                                                   \
		return status;
		ERR_TABLE(ERR_STATUS)
#undef ERR_STATUS
	}
	return 500;
}
