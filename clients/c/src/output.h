/*
 * output: a record's place in a batch, for whoever wants to know its offset.
 */
#ifndef TG_OUTPUT_H
#define TG_OUTPUT_H

#include "batch.h"

struct tg_output {
	batch *batch; /* a reference */
	uint32_t index;
};

/* For the record that is added next. NULL: no memory. */
tg_output *tgi_output_new(batch *b);

#endif
