#include "api/api.h"
#include "api/probe.h"
#include "base/jwrite.h"

static void write_dialect(buf *out, const char *separator, const http_dialect *d)
{
	buf_printf(out, "%s{\"name\":\"%s\",\"path\":\"%s\",\"docs\":\"", separator, d->name, d->prefix);
	if (d->docs != NULL) {
		buf_printf(out, "%s\"}", d->docs);
	} else {
		buf_printf(out, "docs/%s.md\"}", d->name);
	}
}

void probe_welcome(http_exchange *x)
{
	buf *out = http_reply_body(x);
	const http_dialect *dialects[API_DIALECTS_MAX];
	size_t count = 0;
	err e;
	buf_append_str(out, STR("{\"service\":\"tidegate\",\"version\":\"" TIDEGATE_VERSION "\",\"dialects\":["));
	if (api_dialects(api_of(x)->config->dialects, dialects, &count, &e)) {
		const char *separator = "";
		for (size_t i = 0; i < count; i++) {
			if (dialects[i] != &probe_dialect) {
				write_dialect(out, separator, dialects[i]);
				separator = ",";
			}
		}
	}
	buf_append_str(out, STR("],\"probes\":[\"/healthz\",\"/readyz\",\"/metrics\"]}\n"));
	http_send(x, 200, "application/json");
}
