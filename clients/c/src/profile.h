/*
 * profile: the file of profiles, which all our clients read: text in TOML, of which profile_text.h takes what the file needs.
 *
 * Threads  any; changes to the file by several processes at a time: the last one stands.
 * Limits   1 MiB of the file; 64 bytes of a name that is given, 8 KiB of a value.
 */
#ifndef TG_PROFILE_H
#define TG_PROFILE_H

#include "tidegate.h"

/* Sets endpoint and key of the configuration. name NULL: the current profile, and when there is no file (and
 * TIDEGATE_PROFILES names none) the configuration stays as it is. TG_ERR_INVALID_ARGUMENT: no such profile or file. */
tg_status tgi_profile_apply(tg_config *config, const char *name, tg_error *error);

#endif
