/*
 * base/frame: immutable bytes shared by reference count: encoded once, sent to many.
 *
 * The bytes are kept with their HTTP/1.1 chunk header and trailer around them, so that a chunked writer sends one
 * contiguous piece (frame_chunk) and every other writer sends the payload (frame_payload).
 *
 * Owns     its bytes, freed with the last reference.
 * Threads  any; the count is atomic.
 * Errors   frame_new gives NULL when memory is out or the payload is empty (an empty chunk would end the body).
 */
#ifndef TIDEGATE_BASE_FRAME_H
#define TIDEGATE_BASE_FRAME_H

#include "base/str.h"

typedef struct frame frame;

frame *frame_new(str payload); /* copies; one reference for the caller */
frame *frame_ref(frame *f);    /* returns f */
void frame_unref(frame *f);    /* accepts NULL */
str frame_payload(const frame *f);
str frame_chunk(const frame *f);

#endif
