#include "api/streaming/topic_text.h"

#include "api/topic_config.h"
#include "base/jwrite.h"

void topic_text_write_name(buf *out, const log_topic *t)
{
	jwrite_key(out, "name");
	jwrite_string(out, t->name);
}

static void write_number(buf *out, const char *key, int64_t value)
{
	buf_append_byte(out, ',');
	jwrite_key(out, key);
	buf_append_i64(out, value);
}

void topic_text_write_shape(buf *out, const log_topic *t)
{
	topic_text_write_name(out, t);
	write_number(out, "partitions", t->partitions);
	write_number(out, "replication_factor", t->replication_factor);
}

void topic_text_write_details(buf *out, const log_topic *t)
{
	topic_text_write_shape(out, t);
	write_number(out, "created_at", t->created_ms);
	buf_append_byte(out, ',');
	jwrite_key(out, "config");
	topic_config_write(out, &t->config);
}

void topic_text_write_partitions(buf *out, const log_partition_info *partitions, size_t count)
{
	buf_append_str(out, STR(",\"partition_info\":["));
	for (size_t i = 0; i < count; i++) {
		const log_partition_info *p = &partitions[i];
		buf_append_str(out, i > 0 ? STR(",{\"partition\":") : STR("{\"partition\":"));
		buf_append_i64(out, p->partition);
		write_number(out, "start_offset", p->start_offset);
		write_number(out, "end_offset", p->end_offset);
		write_number(out, "records", p->records);
		write_number(out, "bytes", p->bytes);
		buf_append_byte(out, '}');
	}
	buf_append_byte(out, ']');
}
