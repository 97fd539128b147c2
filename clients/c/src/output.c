#include "output.h"

#include "error.h"

#include <stdlib.h>

tg_output *tgi_output_new(batch *b)
{
	tg_output *output = malloc(sizeof *output);
	if (output != NULL) {
		tgi_batch_ref(b);
		*output = (tg_output){.batch = b, .index = b->records};
	}
	return output;
}

tg_status tg_output_wait(tg_output *output, int64_t timeout_ms, tg_record_metadata *metadata, tg_error *error)
{
	batch *b = output->batch;
	if (tgi_batch_wait(b, timeout_ms) != TG_OK) {
		return tgi_error_set(error, TG_TIMEOUT, "the record's batch is still under way");
	}
	if (b->error.kind != TG_OK) {
		return tgi_error_copy(error, &b->error);
	}
	if (metadata != NULL) {
		*metadata = (tg_record_metadata){.partition = b->partition, .offset = b->base_offset + output->index};
	}
	return TG_OK;
}

tg_status tg_output_poll(tg_output *output, tg_record_metadata *metadata, tg_error *error)
{
	return tg_output_wait(output, 0, metadata, error);
}

void tg_output_free(tg_output *output)
{
	if (output != NULL) {
		tgi_batch_unref(output->batch);
		free(output);
	}
}
