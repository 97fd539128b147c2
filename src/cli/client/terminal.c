#include "cli/client/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { REFRESH_MS = 250 };

bool terminal_has_colours(FILE *stream)
{
	const char *refusal = getenv("NO_COLOR");
	const char *kind = getenv("TERM");
	return isatty(fileno(stream)) && (refusal == NULL || refusal[0] == '\0') && kind != NULL &&
		   strcmp(kind, "dumb") != 0;
}

unsigned terminal_width(FILE *stream)
{
	struct winsize size = {0};
	if (!isatty(fileno(stream))) {
		return 0;
	}
	return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_start(progress *p, bool is_wanted)
{
	*p = (progress){.is_on = is_wanted && isatty(STDERR_FILENO), .started_ms = clock_now_ms()};
}

void progress_show(progress *p, uint64_t records, uint64_t bytes)
{
	int64_t now_ms = clock_now_ms();
	if (!p->is_on || now_ms - p->shown_ms < REFRESH_MS) {
		return;
	}
	p->shown_ms = now_ms;
	double seconds = (double)(now_ms - p->started_ms + 1) / 1000;
	fprintf(stderr, "\r\033[K%llu records, %.1f MB, %.0f records/s", (unsigned long long)records, (double)bytes / 1e6,
			(double)records / seconds);
	fflush(stderr);
}

void progress_end(progress *p)
{
	if (p->is_on && p->shown_ms > 0) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
}
