/*
 * cli/client/bytes: bytes in the forms that people can read. Threads: any. Errors: as of buf.
 */
#ifndef TIDEGATE_CLI_CLIENT_BYTES_H
#define TIDEGATE_CLI_CLIENT_BYTES_H

#include "base/buf.h"

/* Well-formed UTF-8 without the controls that no text has. */
bool bytes_are_text(str s);
/* As text, with U+FFFD for what is not UTF-8. */
void bytes_append_lossy(buf *out, str s);
/* "00000000  68 65 …  |he…|", a row for each 16 bytes. */
void bytes_append_dump(buf *out, str s);
/* Indented JSON, with each name, text and number as it was written. False, and nothing appended: it is no JSON, or nested
 * more than 128 deep. */
bool bytes_append_json(buf *out, str s);

#endif
