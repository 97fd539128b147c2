/*
 * api/accept: how well an Accept header fits a media type.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_ACCEPT_H
#define TIDEGATE_API_ACCEPT_H

#include "base/str.h"

typedef enum accept_fitness {
	ACCEPT_NOT,   /* excluded with q=0, or not mentioned */
	ACCEPT_ANY,   /* by an asterisk on both sides of the slash */
	ACCEPT_TOP,   /* its top-level type */
	ACCEPT_NAMED, /* by name */
} accept_fitness;

/* Of an absent or empty header: ACCEPT_NOT. Other weights than 0 are not looked at. */
accept_fitness accept_fit(str accept, str type);

#endif
