#include "cli/client/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 << 10 };

bool input_open(input *in, const char *path, err *e)
{
	*in = (input){.fd = STDIN_FILENO};
	buf_init(&in->text, INPUT_BYTES_MAX + CHUNK_BYTES);
	if (path != NULL) {
		in->fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return in->fd >= 0 || err_set(e, ERR_INVALID_REQUEST, "the file %.200s cannot be read: %s", path, strerror(errno));
}

void input_close(input *in)
{
	if (in->fd > STDIN_FILENO) {
		close(in->fd);
	}
	buf_dispose(&in->text);
}

/* More bytes behind those that are there. */
static bool read_more(input *in, err *e)
{
	ssize_t got;
	if (in->at > 0) { /* what was handed out makes room */
		memmove(in->text.ptr, in->text.ptr + in->at, in->text.len - in->at);
		in->text.len -= in->at;
		in->seen -= in->at;
		in->at = 0;
	}
	if (in->text.len >= INPUT_BYTES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "a record of more than %d MiB cannot be sent", INPUT_BYTES_MAX >> 20);
	}
	if (!buf_reserve(&in->text, CHUNK_BYTES)) {
		return err_set(e, ERR_NO_MEMORY, "there is no memory for the input");
	}
	do {
		got = read(in->fd, in->text.ptr + in->text.len, CHUNK_BYTES);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return err_set(e, ERR_INVALID_REQUEST, "the input cannot be read: %s", strerror(errno));
	}
	in->text.len += (size_t)got;
	in->is_over = got == 0;
	return true;
}

input_result input_line(input *in, str *line, err *e)
{
	for (;;) {
		const char *feed =
			in->seen < in->text.len ? memchr(in->text.ptr + in->seen, '\n', in->text.len - in->seen) : NULL;
		if (feed == NULL && !in->is_over) {
			in->seen = in->text.len;
			if (!read_more(in, e)) {
				return INPUT_FAILED;
			}
			continue;
		}
		if (in->at == in->text.len) {
			return INPUT_END;
		}
		const char *begin = in->text.ptr + in->at;
		const char *end = feed != NULL ? feed : in->text.ptr + in->text.len;
		in->at = (size_t)(end - in->text.ptr) + (feed != NULL ? 1 : 0);
		in->seen = in->at;
		*line = (str){begin, (size_t)(end - begin)};
		if (feed != NULL && line->len > 0 && end[-1] == '\r') {
			line->len--;
		}
		return INPUT_LINE;
	}
}

bool input_all(input *in, str *all, err *e)
{
	while (!in->is_over) {
		if (!read_more(in, e)) {
			return false;
		}
	}
	*all = buf_str(&in->text);
	return true;
}
