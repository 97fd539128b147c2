/*
 * http/websocket_input: whatever a client sends, in one piece or byte by byte, gives the same messages, none of them too
 * large or no UTF-8, and the same answer; but where the connection ends, its close frame may overtake the last pongs.
 */
#include "fuzz.h"

#include "base/text.h"
#include "http/websocket_input.h"

enum { MESSAGE_MAX = 1000, SEEN_MAX = 1 << 20, ANSWER_MAX = 1 << 20 };

static void on_text(void *context, str text)
{
	FUZZ_CHECK(text.len <= MESSAGE_MAX && text_is_utf8(text));
	buf_append_str(context, text);
	buf_append_byte(context, '\n');
}

static void on_binary(void *context)
{
	buf_append_byte(context, '#');
}

static bool take(str input, size_t step, buf *seen, buf *answer)
{
	buf_init(seen, SEEN_MAX);
	buf_init(answer, ANSWER_MAX);
	websocket_input *in = websocket_input_new(MESSAGE_MAX, (websocket_sink){on_text, on_binary, seen});
	bool goes_on = in != NULL;
	for (; input.len > 0 && goes_on; input = str_skip(input, step)) {
		goes_on = websocket_input_take(in, str_take(input, step), answer);
	}
	websocket_input_free(in);
	return goes_on;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	buf seen[2];
	buf answer[2];
	str input = {(const char *)data, size};
	bool whole = take(input, size > 0 ? size : 1, &seen[0], &answer[0]);
	bool pieces = take(input, 1, &seen[1], &answer[1]);
	/* The reason of a close frame is looked at as far as one read brings it: in pieces, the end may be that of the frame. */
	FUZZ_CHECK(!whole || pieces);
	FUZZ_CHECK(str_equal(buf_str(&seen[0]), buf_str(&seen[1])));
	FUZZ_CHECK(!whole || str_equal(buf_str(&answer[0]), buf_str(&answer[1])));
	FUZZ_CHECK(!answer[0].failed && !answer[1].failed);
	for (size_t i = 0; i < 2; i++) {
		buf_dispose(&seen[i]);
		buf_dispose(&answer[i]);
	}
	return 0;
}
