#include "cli/bench/chunk.h"

/* Fifteen digits cannot overflow. */
enum { DIGITS_MAX = 15 };

void chunk_init(chunk_decoder *d)
{
	*d = (chunk_decoder){.state = CHUNK_SIZE};
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void end_size_line(chunk_decoder *d)
{
	d->state = d->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	d->digits = 0;
}

static bool take_size_byte(chunk_decoder *d, char c)
{
	int digit = hex_value(c);
	if (digit >= 0 && d->digits < DIGITS_MAX) {
		d->left = d->left * 16 + (uint64_t)digit;
		d->digits++;
		return true;
	}
	if (digit >= 0 || d->digits == 0) {
		return false;
	}
	if (c == '\n') {
		end_size_line(d);
		return true;
	}
	d->state = CHUNK_EXTENSION;
	return c == '\r' || c == ';' || c == ' ' || c == '\t';
}

/* One byte of framing; false when it does not belong there. */
static bool take_framing_byte(chunk_decoder *d, char c)
{
	switch (d->state) {
	case CHUNK_SIZE:
		return take_size_byte(d, c);
	case CHUNK_EXTENSION:
		if (c == '\n') {
			end_size_line(d);
		}
		return true;
	case CHUNK_DATA_END:
		if (c == '\n') {
			d->state = CHUNK_SIZE;
		}
		return c == '\n' || c == '\r';
	case CHUNK_TRAILER:
		if (c == '\n') {
			d->state = CHUNK_FINISHED;
		} else if (c != '\r') {
			d->state = CHUNK_TRAILER_LINE;
		}
		return true;
	case CHUNK_TRAILER_LINE:
		if (c == '\n') {
			d->state = CHUNK_TRAILER;
		}
		return true;
	case CHUNK_DATA:
	case CHUNK_FINISHED:
		break;
	}
	return false;
}

chunk_event chunk_next(chunk_decoder *d, str *input, str *piece)
{
	while (d->state != CHUNK_FINISHED) {
		if (input->len == 0) {
			return CHUNK_MORE;
		}
		if (d->state == CHUNK_DATA) {
			*piece = str_take(*input, d->left);
			*input = str_skip(*input, piece->len);
			d->left -= piece->len;
			if (d->left == 0) {
				d->state = CHUNK_DATA_END;
			}
			return CHUNK_PIECE;
		}
		if (!take_framing_byte(d, input->ptr[0])) {
			return CHUNK_BROKEN;
		}
		*input = str_skip(*input, 1);
	}
	return CHUNK_END;
}
