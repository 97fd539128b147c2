/*
 * config/config: file + environment → one immutable struct.
 *
 * A setting is a line `key = value` of the file ('#' at the beginning of a line or after a blank starts a comment), or
 * the environment variable TIDEGATE_<KEY> in upper case, which wins over the file; the command line wins over both
 * (config_set). A key may stand in the file once; variables of other names are left alone, but for those of
 * config/alias. config/keys.h has the one table of keys: name, kind, default, range, help. config/tidegate.conf and docs/configuration.md list each of them;
 * tests compare.
 *
 * Owns     every text in it, until config_free().
 * Threads  loaded by the main thread, immutable afterwards.
 * Limits   1 MiB of file, 1 MiB of texts.
 * Errors   ERR_INVALID_REQUEST: unreadable file, unknown or repeated key, ill-typed or out-of-range value; the message
 *          names file and line, or the variable, what was found and what is allowed. ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_CONFIG_CONFIG_H
#define TIDEGATE_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "config/keys.h"

/* One member per key of config/keys.h: str for texts and enumerations, int64_t for numbers, bool for switches. */
typedef struct config {
#define CONFIG_MEMBER_TEXT(key)       str key;
#define CONFIG_MEMBER_CHOICE(key)     str key;
#define CONFIG_MEMBER_NUMBER(key)     int64_t key;
#define CONFIG_MEMBER_SWITCH(key)     bool key;
#define CONFIG_MEMBER(kind, key, ...) CONFIG_MEMBER_##kind(key)
	CONFIG_KEYS(CONFIG_MEMBER)
#undef CONFIG_MEMBER
	struct config_store *store; /* what the texts live in */
} config;

/* Defaults, then the file (path NULL: none), then the environment (as from `environ`). */
bool config_load(const char *path, char *const *environment, config **out, err *e) MUST_CHECK;
/* Whether nobody has given a value. */
bool config_is_default(const config *c, str key);
/* One more setting on top, as from the command line. */
bool config_set(config *c, str key, str value, err *e) MUST_CHECK;
void config_free(config *c); /* accepts NULL */
/* Whether there is such a key, and whether it is a switch. */
bool config_has_key(str key, bool *is_switch);
/* The commented sample file with every key and its default. */
void config_write_sample(buf *out);
/* The settings in force as a file, passwords masked, with a note where each came from. */
void config_write_effective(const config *c, buf *out);

#endif
