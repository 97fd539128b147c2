#include "cli/bench/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/str.h"

typedef struct process {
	char name[32];
	pid_t parent;
	double own_s;
	double reaped_s; /* of children that ended */
} process;

static bool read_process(const char *pid, process *out)
{
	char path[64];
	char text[1024];
	unsigned long ticks[4];
	process p = {0};
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		return false;
	}
	size_t len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = '\0';
	/* pid (name) state ppid …; the name may hold anything, so the last parenthesis counts. */
	const char *name = strchr(text, '(');
	const char *behind = strrchr(text, ')');
	if (name == NULL || behind == NULL || behind < name) {
		return false;
	}
	snprintf(p.name, sizeof p.name, "%.*s", (int)(behind - name - 1), name + 1);
	if (sscanf(behind + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &parent, &ticks[0], &ticks[1],
			   &ticks[2], &ticks[3]) != 5) {
		return false;
	}
	double per_second = (double)sysconf(_SC_CLK_TCK);
	p.parent = parent;
	p.own_s = (double)(ticks[0] + ticks[1]) / per_second;
	p.reaped_s = (double)(ticks[2] + ticks[3]) / per_second;
	*out = p;
	return true;
}

static bool read_pid(pid_t pid, process *out)
{
	char text[32];
	snprintf(text, sizeof text, "%d", (int)pid);
	return read_process(text, out);
}

static double own_seconds(void)
{
	struct rusage r;
	if (getrusage(RUSAGE_SELF, &r) != 0) {
		return 0;
	}
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static bool postgres_seconds(pid_t postmaster, double *out)
{
	process p;
	if (postmaster == 0 || !read_pid(postmaster, &p)) {
		return false;
	}
	double sum = p.own_s + p.reaped_s;
	DIR *proc = opendir("/proc");
	if (proc == NULL) {
		return false;
	}
	for (const struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_process(entry->d_name, &p) &&
			p.parent == postmaster) {
			sum += p.own_s + p.reaped_s;
		}
	}
	closedir(proc);
	*out = sum;
	return true;
}

/* Everything but idling and waiting for the disk. */
static double machine_seconds(void)
{
	unsigned long long ticks[8];
	FILE *f = fopen("/proc/stat", "re");
	if (f == NULL) {
		return 0;
	}
	int fields = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2], &ticks[3],
						&ticks[4], &ticks[5], &ticks[6], &ticks[7]);
	fclose(f);
	if (fields != 8) {
		return 0;
	}
	return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) / (double)sysconf(_SC_CLK_TCK);
}

usage usage_now(const usage_sources *sources)
{
	usage u = {.generator_s = own_seconds(), .machine_s = machine_seconds()};
	process p;
	if (sources->server != 0 && read_pid(sources->server, &p)) {
		u.has_server = true;
		u.server_s = p.own_s;
	}
	u.has_postgres = postgres_seconds(sources->postmaster, &u.postgres_s);
	return u;
}

usage usage_between(const usage *begin, const usage *end)
{
	return (usage){.generator_s = end->generator_s - begin->generator_s,
				   .server_s = end->server_s - begin->server_s,
				   .postgres_s = end->postgres_s - begin->postgres_s,
				   .machine_s = end->machine_s - begin->machine_s,
				   .has_server = begin->has_server && end->has_server,
				   .has_postgres = begin->has_postgres && end->has_postgres};
}

double usage_of_others(const usage *u)
{
	double others = u->machine_s - u->generator_s - u->server_s - u->postgres_s;
	return u->has_server && u->has_postgres && others > 0 ? others : 0;
}

double usage_share_of_others(const usage *u, double seconds)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	return seconds > 0 && processors > 0 ? usage_of_others(u) / (seconds * (double)processors) : 0;
}

pid_t usage_postmaster_of(pid_t backend)
{
	process child, parent;
	if (!read_pid(backend, &child) || !str_starts_with(str_from_c(child.name), STR("postgres")) ||
		!read_pid(child.parent, &parent) || strcmp(child.name, parent.name) != 0) {
		return 0;
	}
	return child.parent;
}

bool usage_resident_bytes(pid_t pid, int64_t *bytes)
{
	char path[64];
	unsigned long resident_pages = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		return false;
	}
	int fields = fscanf(f, "%*u %lu", &resident_pages);
	fclose(f);
	if (fields != 1) {
		return false;
	}
	*bytes = (int64_t)resident_pages * sysconf(_SC_PAGESIZE);
	return true;
}
