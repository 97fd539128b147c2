#include "base/file_state.h"

static file_state look_at(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		return (file_state){.bytes = -1};
	}
	return (file_state){.modified = st.st_mtim, .bytes = st.st_size, .inode = st.st_ino};
}

bool file_state_note(file_state *state, const char *path)
{
	file_state now = look_at(path);
	bool is_same = now.modified.tv_sec == state->modified.tv_sec && now.modified.tv_nsec == state->modified.tv_nsec &&
				   now.bytes == state->bytes && now.inode == state->inode;
	*state = now;
	return !is_same;
}
