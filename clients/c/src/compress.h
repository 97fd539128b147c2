/*
 * compress: one HTTP body by one of the five codecs of a producer.
 *
 * Threads  any.
 * Errors   TG_ERR_COMPRESSION: this build does not have the codec, or it failed; TG_ERR_NO_MEMORY.
 */
#ifndef TG_COMPRESS_H
#define TG_COMPRESS_H

#include "buffer.h"
#include "tidegate.h"

/* Appends the compressed form to *out. Not for TG_COMPRESSION_NONE. */
tg_status tgi_compress_bytes(tg_compression codec, const void *bytes, size_t len, buffer *out, tg_error *error);
const char *tgi_compress_name(tg_compression codec); /* as Content-Encoding has it; "none" for none */

#endif
