#include "api/api.h"
#include "api/probe.h"

void probe_metrics(http_exchange *x)
{
	metric_render(api_of(x)->metrics, http_reply_body(x));
	http_send(x, 200, "text/plain; version=0.0.4; charset=utf-8");
}
