#include "api/topics/work_event.h"

#include "api/topics/queue.h"
#include "base/jwrite.h"

enum { LAST_BYTES_MAX = 16 << 10, STATUS_GONE = 409 };

void work_event_job(buf *out, str topic, const log_lease_job *job)
{
	buf_append_str(out, STR("id: "));
	buf_append_i64(out, job->record.offset + 1);
	buf_append_str(out, STR("\nevent: job\ndata: {\"topic\":"));
	jwrite_string(out, topic);
	buf_append_byte(out, ',');
	queue_write_job(out, job);
	buf_append_str(out, STR("}\n\n"));
}

static frame *finish(buf *out)
{
	frame *f = out->failed ? NULL : frame_new(buf_str(out));
	buf_dispose(out);
	return f;
}

frame *work_event_error(const err *e, str topic)
{
	buf out;
	bool is_gone = e->code == ERR_TOPIC_NOT_FOUND || e->code == ERR_NOT_A_QUEUE;
	buf_init(&out, LAST_BYTES_MAX);
	buf_append_str(&out, STR("event: error\ndata: {\"code\":"));
	buf_append_i64(&out, is_gone ? STATUS_GONE : err_http_status(e->code));
	buf_append_str(&out, STR(",\"error\":"));
	jwrite_string(&out, is_gone ? STR("the topic is gone, or no queue any more") : str_from_c(e->message));
	buf_append_str(&out, STR(",\"topic\":"));
	jwrite_string(&out, topic);
	buf_append_str(&out, STR("}\n\n"));
	return finish(&out);
}

frame *work_event_shutdown(void)
{
	return frame_new(STR("event: error\ndata: {\"code\":\"server_shutting_down\","
						 "\"error\":\"the server is stopping; connect again\"}\n\n"));
}
