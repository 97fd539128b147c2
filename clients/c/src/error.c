#include "error.h"

#include <stdarg.h>
#include <stdio.h>

#define TG_STRING(x) #x
#define TG_NUMBER(x) TG_STRING(x)
#define TG_VERSION   TG_NUMBER(TG_VERSION_MAJOR) "." TG_NUMBER(TG_VERSION_MINOR) "." TG_NUMBER(TG_VERSION_PATCH)

const char *tg_version(void)
{
	return TG_VERSION;
}

const char *tg_status_str(tg_status status)
{
	switch (status) {
	case TG_OK:
		return "ok";
	case TG_TIMEOUT:
		return "timeout";
	case TG_END:
		return "end of stream";
	case TG_ERR_INVALID_ARGUMENT:
		return "invalid argument";
	case TG_ERR_NO_MEMORY:
		return "no memory";
	case TG_ERR_CONNECTION:
		return "connection failed";
	case TG_ERR_UNAUTHORIZED:
		return "unauthorized";
	case TG_ERR_FORBIDDEN:
		return "forbidden";
	case TG_ERR_TOPIC_NOT_FOUND:
		return "topic not found";
	case TG_ERR_PARTITION_NOT_FOUND:
		return "partition not found";
	case TG_ERR_TOPIC_EXISTS:
		return "topic exists";
	case TG_ERR_RECORD_TOO_LARGE:
		return "record too large";
	case TG_ERR_QUEUE_FULL:
		return "queue full";
	case TG_ERR_RETRIES_EXHAUSTED:
		return "retries exhausted";
	case TG_ERR_TOPIC_FULL:
		return "topic full";
	case TG_ERR_COMPRESSION:
		return "compression not available";
	case TG_ERR_OFFSET_EVICTED:
		return "offset evicted";
	case TG_ERR_OFFSET_OUT_OF_RANGE:
		return "offset out of range";
	case TG_ERR_NO_OFFSET_MANAGEMENT:
		return "offset management disabled";
	case TG_ERR_MAX_RETRY_REACHED:
		return "maximum of retries reached";
	case TG_ERR_FENCED:
		return "producer fenced";
	case TG_ERR_GROUP_NOT_FOUND:
		return "consumer not found";
	case TG_ERR_UNAVAILABLE:
		return "unavailable";
	case TG_ERR_CLOSED:
		return "closed";
	case TG_ERR_PROTOCOL:
		return "protocol error";
	case TG_ERR_SERVER:
		return "refused by the server";
	}
	return "unknown status";
}

/* Most statuses have no number in Fluvio, hence the default. */
int tgi_error_code(tg_status kind)
{
	static const struct {
		tg_status kind;
		int code;
	} codes[] = {
		{TG_ERR_OFFSET_OUT_OF_RANGE, 1},  {TG_ERR_UNAVAILABLE, 6},    {TG_ERR_RETRIES_EXHAUSTED, 7},
		{TG_ERR_RECORD_TOO_LARGE, 10},    {TG_ERR_FORBIDDEN, 13},     {TG_ERR_UNAUTHORIZED, 13},
		{TG_ERR_OFFSET_EVICTED, 71},      {TG_ERR_TOPIC_FULL, 72},    {TG_ERR_TOPIC_NOT_FOUND, 2001},
		{TG_ERR_TOPIC_EXISTS, 2002},      {TG_ERR_COMPRESSION, 9000}, {TG_ERR_NO_OFFSET_MANAGEMENT, 3004},
		{TG_ERR_MAX_RETRY_REACHED, 3005},
	};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].kind == kind) {
			return codes[i].code;
		}
	}
	return 0;
}

tg_status tgi_error_set(tg_error *error, tg_status kind, const char *format, ...)
{
	if (error != NULL) {
		va_list arguments;
		*error = (tg_error){
			.kind = kind, .code = tgi_error_code(kind), .partition = -1, .start_offset = -1, .end_offset = -1};
		va_start(arguments, format);
		vsnprintf(error->message, sizeof error->message, format, arguments);
		va_end(arguments);
	}
	return kind;
}

tg_status tgi_error_no_memory(tg_error *error)
{
	return tgi_error_set(error, TG_ERR_NO_MEMORY, "there is no memory left");
}

tg_status tgi_error_copy(tg_error *to, const tg_error *from)
{
	if (to != NULL && to != from) {
		*to = *from;
	}
	return from->kind;
}
