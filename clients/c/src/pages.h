/*
 * pages: lists that the server gives page by page.
 *
 * Threads  any.
 * Errors   those of a call; TG_ERR_NO_MEMORY.
 */
#ifndef TG_PAGES_H
#define TG_PAGES_H

#include "client.h"

#include <jansson.h>

typedef bool (*pages_visit)(void *context, const json_t *entry); /* false ends the list early */

/* Visits each entry of `member` of the pages of GET `path`, which holds a query. */
tg_status tgi_pages_visit(tg_client *client, const char *path, const char *member, pages_visit visit, void *context,
						  tg_error *error);

#endif
