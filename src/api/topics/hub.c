#include "api/topics/hub.h"

#include <stdlib.h>

topics_hub *topics_hub_new(api *a)
{
	topics_hub *h = calloc(1, sizeof *h);
	if (h == NULL) {
		return NULL;
	}
	h->formats = watch_formats_new();
	h->slots = live_slots_new((live_slots_rule){
		.most = a->config->topics_max_sse_connections,
		.most_per_key = a->config->topics_max_sse_connections_per_key,
		.name = "max_sse_connections",
		.name_per_key = "max_sse_connections_per_key",
		.what = "live connections are open",
	});
	h->keeper = watch_keeper_new(a);
	if (h->formats == NULL || h->slots == NULL || h->keeper == NULL) {
		topics_hub_free(h);
		return NULL;
	}
	return h;
}

void topics_hub_free(topics_hub *h)
{
	if (h != NULL) {
		watch_keeper_free(h->keeper);
		live_slots_free(h->slots);
		watch_formats_free(h->formats);
		free(h);
	}
}
