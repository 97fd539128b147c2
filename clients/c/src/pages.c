#include "pages.h"

#include "call.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

/* The page at the cursor, NULL = the first one. */
static tg_status fetch(tg_client *client, const char *path, const char *cursor, json_t **page, tg_error *error)
{
	buffer address = {0};
	tgi_buffer_text(&address, path);
	tgi_buffer_text(&address, "&page_size=1000");
	if (cursor != NULL) {
		tgi_buffer_text(&address, "&cursor=");
		tgi_buffer_url_segment(&address, cursor);
	}
	tgi_buffer_append(&address, "", 1);
	const call_request request = {
		.method = "GET", .path = address.ptr, .timeout_ms = client->config.request_timeout_ms};
	tg_status status = address.failed ? tgi_error_no_memory(error) : tgi_call_run(client, &request, page, error);
	tgi_buffer_dispose(&address);
	return status;
}

tg_status tgi_pages_visit(tg_client *client, const char *path, const char *member, pages_visit visit, void *context,
						  tg_error *error)
{
	json_t *page = NULL;
	bool is_over = false;
	tg_status status;
	do {
		json_t *next = NULL;
		size_t i;
		json_t *entry;
		status = fetch(client, path, json_string_value(json_object_get(page, "next_cursor")), &next, error);
		json_decref(page);
		page = next;
		json_array_foreach(json_object_get(page, member), i, entry)
		{
			if (!visit(context, entry)) {
				is_over = true;
				break;
			}
		}
	} while (!is_over && json_is_string(json_object_get(page, "next_cursor")));
	json_decref(page);
	return status;
}
