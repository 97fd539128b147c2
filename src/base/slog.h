/*
 * base/slog: structured log lines on stderr, as JSON (one object a line) or readable text.
 *
 *   SLOG(log, SLOG_WARN, "db", "connection lost, trying again", F_STR("host", host), F_INT("delay_ms", 200));
 *
 * Owns     the line buffer only; one write(2) per line, so lines of threads never mix.
 * Threads  any, once created.
 * Limits   4 KiB a line and SLOG_VALUE_MAX a value: longer values are cut (with an ellipsis), fields that no longer
 *          fit are left out. Texts that are not UTF-8 are shown with U+FFFD. SLOG takes up to 12 fields. Secrets have
 * no F_ form; never pass one.
 */
#ifndef TIDEGATE_BASE_SLOG_H
#define TIDEGATE_BASE_SLOG_H

#include "base/err.h"

enum { SLOG_VALUE_MAX = 1024 };

typedef enum slog_level { SLOG_DEBUG, SLOG_INFO, SLOG_WARN, SLOG_ERROR } slog_level;
typedef enum slog_format { SLOG_TEXT, SLOG_JSON } slog_format;

typedef struct slog slog;

typedef struct slog_field {
	const char *key;
	enum { SLOG_FIELD_STR, SLOG_FIELD_INT } kind;
	str text;
	int64_t number;
} slog_field;

#define F_STR(key, value) ((slog_field){(key), SLOG_FIELD_STR, (value), 0})
#define F_C(key, value)   ((slog_field){(key), SLOG_FIELD_STR, str_from_c(value), 0})
#define F_INT(key, value) ((slog_field){(key), SLOG_FIELD_INT, STR_NONE, (int64_t)(value)})

slog *slog_new(int fd, slog_level least, slog_format format);
void slog_free(slog *log);
bool slog_enabled(const slog *log, slog_level level); /* false for NULL */
void slog_write(slog *log, slog_level level, const char *component, const char *message, const slog_field *fields,
				size_t field_count);
/* One line with an error's code, message, log detail, SQLSTATE and frames. */
void slog_err(slog *log, slog_level level, const char *component, const char *message, const err *e);
bool slog_level_parse(str text, slog_level *out);   /* debug info warn error */
bool slog_format_parse(str text, slog_format *out); /* text json */

/* SLOG(log, level, component, message, fields …). Fields are evaluated only when the line will be written. */
#define SLOG(...)                                                                                                      \
	SLOG_CHOOSE_(__VA_ARGS__, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_, SLOG_F_,         \
				 SLOG_F_, SLOG_F_, SLOG_F_, SLOG_0_, 0, 0, 0)                                                          \
	(__VA_ARGS__)
/* C17 has no macro that takes no variable argument: this finds the one for the number of arguments. */
#define SLOG_CHOOSE_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, name, ...) name
#define SLOG_0_(log, level, component, message)                                                        slog_write((log), (level), (component), (message), NULL, 0)
#define SLOG_F_(log, level, component, message, ...)                                                                   \
	do {                                                                                                               \
		if (slog_enabled((log), (level))) {                                                                            \
			const slog_field slog_fields_[] = {__VA_ARGS__};                                                           \
			slog_write((log), (level), (component), (message), slog_fields_,                                           \
					   sizeof slog_fields_ / sizeof slog_fields_[0]);                                                  \
		}                                                                                                              \
	} while (0)

#endif
