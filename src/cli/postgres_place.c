#include "cli/postgres_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

/* sun_path holds 108 bytes with its NUL; the server puts "/.s.PGSQL.5432" behind the directory. */
enum { SOCKET_PATH_MAX = 107, SOCKET_DIRECTORY_MAX = SOCKET_PATH_MAX - 14 };

static const char SYSTEM_HOME[] = "/var/lib/tidegate";

void postgres_say(FILE *progress, const char *format, ...)
{
	va_list args;

	if (progress == NULL) {
		return;
	}
	va_start(args, format);
	fputs("tidegate: ", progress);
	vfprintf(progress, format, args);
	fputc('\n', progress);
	fflush(progress);
	va_end(args);
}

static bool fail(err *e, const char *what, const char *path)
{
	return err_set(e, ERR_UNAVAILABLE, "cannot %s %.200s: %s", what, path, strerror(errno));
}

/* directory/name; false when that is too long for a path. */
static bool join(char out[PATH_MAX], const char *directory, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

static int try_enter(void *context)
{
	return access(context, X_OK) == 0 ? 0 : 1;
}

/* Whether the user that runs Postgres may enter the directory. */
static bool may_enter(const child_user *user, char *path)
{
	return child_call(user, try_enter, path) == 0;
}

/* The directory and those above it, as far as they are not there. */
static bool make_directories(const char *directory)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s", directory) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(path, 0777) < 0 && errno != EEXIST) {
			return false;
		}
		*at = '/';
	}
	/* Root must let Postgres's user pass through; what is inside protects itself. */
	return mkdir(path, geteuid() == 0 ? 0711 : 0700) == 0 || errno == EEXIST;
}

static bool resolve(const char *directory, postgres_place *p, err *e)
{
	if (directory[0] == '\0' || !make_directories(directory)) {
		return fail(e, "make the directory", directory);
	}
	if (realpath(directory, p->directory) == NULL) {
		return fail(e, "use the directory", directory);
	}
	for (const char *at = p->directory; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ') {
			return err_set(e, ERR_UNAVAILABLE, "the data directory's name holds a control character; choose another");
		}
	}
	return true;
}

static bool lock(postgres_place *p, err *e)
{
	char path[PATH_MAX];
	char owner[32] = "";

	if (!join(path, p->directory, "lock")) {
		errno = ENAMETOOLONG;
		return fail(e, "use the directory", p->directory);
	}
	p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->lock_fd < 0) {
		return fail(e, "open the lock", path);
	}
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		ssize_t len = read(p->lock_fd, owner, sizeof owner - 1);
		owner[len > 0 ? len : 0] = '\0';
		close(p->lock_fd);
		p->lock_fd = -1;
		return err_set(e, ERR_UNAVAILABLE,
					   "another `tidegate dev` (process %s) runs on %.150s; stop it, or choose another directory with "
					   "--data",
					   owner[0] != '\0' ? owner : "unknown", p->directory);
	}
	int len = snprintf(owner, sizeof owner, "%ld", (long)getpid());
	if (ftruncate(p->lock_fd, 0) < 0 || write(p->lock_fd, owner, (size_t)len) != len) {
		return fail(e, "write", path);
	}
	return true;
}

/* The number in DIR/postgres/PG_VERSION; 0 when there is no data. */
static bool read_data_version(postgres_place *p, err *e)
{
	char path[PATH_MAX];
	char text[16] = "";
	struct stat info;
	uint64_t version = 0;

	if (!join(path, p->directory, "postgres") || !join(p->data, p->directory, "postgres/PG_VERSION")) {
		errno = ENAMETOOLONG;
		return fail(e, "use the directory", p->directory);
	}
	if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && stat(path, &info) < 0) {
		return err_set(e, ERR_UNAVAILABLE,
					   "%.150s is a link to data that is gone (%s); remove the link to begin with an empty database",
					   path, strerror(errno));
	}
	int fd = open(p->data, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT || fail(e, "read", p->data);
	}
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	if (len > 0 && text[len - 1] == '\n') {
		len--;
	}
	if (len <= 0 || !str_parse_u64((str){text, (size_t)len}, 1000, &version) || version == 0) {
		return err_set(e, ERR_UNAVAILABLE, "%.200s has no version number in it; is the data damaged", p->data);
	}
	p->version = (int)version;
	return true;
}

/* Existing data: where it really is, and its owner. */
static bool find_data(postgres_place *p, err *e)
{
	char path[PATH_MAX];
	struct stat info;

	if (!join(path, p->directory, "postgres") || realpath(path, p->data) == NULL || stat(p->data, &info) < 0) {
		return fail(e, "use the data in", p->directory);
	}
	snprintf(p->home, sizeof p->home, "%s", p->data);
	*strrchr(p->home, '/') = '\0';
	if (info.st_uid != geteuid() && geteuid() != 0) {
		return err_set(e, ERR_UNAVAILABLE,
					   "the data in %.150s belongs to another user (number %u); run as that user, or choose another "
					   "directory with --data",
					   p->data, info.st_uid);
	}
	if (info.st_uid == 0) {
		return err_set(
			e, ERR_UNAVAILABLE,
			"the data in %.150s belongs to root, as whom Postgres refuses to run; chown it, or choose another "
			"directory with --data",
			p->data);
	}
	child_user_find(NULL, info.st_uid, info.st_gid, &p->user);
	if (!may_enter(&p->user, p->data)) {
		return err_set(e, ERR_UNAVAILABLE,
					   "user number %u may not enter its data in %.150s any more; give the directories above it mode "
					   "o+x, or choose another directory with --data",
					   info.st_uid, p->data);
	}
	return true;
}

/* A home outside the directory, for a user that may not enter that. */
static bool make_system_home(postgres_place *p, FILE *progress, err *e)
{
	if (mkdir(SYSTEM_HOME, 0711) < 0 && errno != EEXIST) {
		return fail(e, "make the directory", SYSTEM_HOME);
	}
	snprintf(p->home, sizeof p->home, "%s/dev-XXXXXX", SYSTEM_HOME);
	if (mkdtemp(p->home) == NULL || chmod(p->home, 0711) < 0) {
		return fail(e, "make the directory", p->home);
	}
	if (!may_enter(&p->user, p->home)) {
		return err_set(e, ERR_UNAVAILABLE,
					   "the user `postgres` may enter neither %.100s nor %.100s; choose another directory with --data",
					   p->directory, p->home);
	}
	postgres_say(progress, "the user `postgres` may not enter %s; its data goes to %s", p->directory, p->home);
	return true;
}

static bool choose_home(postgres_place *p, FILE *progress, err *e)
{
	if (geteuid() == 0 && !child_user_find("postgres", 0, 0, &p->user)) {
		return err_set(e, ERR_UNAVAILABLE,
					   "Postgres refuses to run as root, and there is no user `postgres` to run it as; make one "
					   "(useradd --system postgres), or run tidegate as an ordinary user");
	}
	if (geteuid() != 0) {
		child_user_find(NULL, geteuid(), getegid(), &p->user);
	}
	snprintf(p->home, sizeof p->home, "%s", p->directory);
	if (p->user.is_other && !may_enter(&p->user, p->home) && !make_system_home(p, progress, e)) {
		return false;
	}
	if (!join(p->data, p->home, "postgres")) {
		errno = ENAMETOOLONG;
		return fail(e, "use the directory", p->home);
	}
	return true;
}

/* ---- the socket ---- */

static bool is_usable_path(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@";

	return strlen(path) <= SOCKET_DIRECTORY_MAX && strspn(path, plain) == strlen(path);
}

/* A real directory that belongs to Postgres's user and to nobody else. */
static bool is_private(const postgres_place *p, char *path)
{
	struct stat info;

	return lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == p->user.uid &&
		   (info.st_mode & 07777) == 0700 && may_enter(&p->user, path);
}

static bool hand_over(const postgres_place *p, const char *path)
{
	return !p->user.is_other || lchown(path, p->user.uid, p->user.gid) == 0;
}

/* home/socket. */
static bool try_home(postgres_place *p)
{
	return join(p->socket, p->home, "socket") && is_usable_path(p->socket) &&
		   (mkdir(p->socket, 0700) == 0 || errno == EEXIST) && hand_over(p, p->socket) && is_private(p, p->socket);
}

static bool try_below(postgres_place *p, const char *parent)
{
	if (parent == NULL || !join(p->socket, parent, "tidegate-XXXXXX") || !is_usable_path(p->socket) ||
		mkdtemp(p->socket) == NULL) {
		return false;
	}
	if (hand_over(p, p->socket) && is_private(p, p->socket)) {
		return true;
	}
	rmdir(p->socket);
	return false;
}

/* The place that an earlier run chose, if it is still good. Removes the link otherwise. */
static bool try_link(postgres_place *p, const char *link_path)
{
	ssize_t len = readlink(link_path, p->socket, sizeof p->socket - 1);

	if (len < 0) {
		return false;
	}
	p->socket[len] = '\0';
	if (is_usable_path(p->socket) && is_private(p, p->socket)) {
		return true;
	}
	unlink(link_path);
	return false;
}

static bool choose_socket(postgres_place *p, char *const *environment, err *e)
{
	char link_path[PATH_MAX];

	if (!join(link_path, p->directory, "socket")) {
		errno = ENAMETOOLONG;
		return fail(e, "use the directory", p->directory);
	}
	if (try_link(p, link_path)) {
		return true;
	}
	if (!try_home(p) && !try_below(p, cli_variable(environment, STR("XDG_RUNTIME_DIR"))) && !try_below(p, "/tmp")) {
		return err_set(e, ERR_UNAVAILABLE, "found no directory for Postgres's socket: neither in %.150s nor in /tmp",
					   p->home);
	}
	if (strcmp(p->socket, link_path) != 0) {
		rmdir(link_path);
		if (symlink(p->socket, link_path) < 0) {
			return fail(e, "make the link", link_path);
		}
	}
	return true;
}

/* ---- */

bool postgres_place_open(const char *directory, char *const *environment, FILE *progress, postgres_place *out, err *e)
{
	memset(out, 0, sizeof *out);
	out->lock_fd = -1;
	if (!resolve(directory, out, e) || !lock(out, e) || !read_data_version(out, e)) {
		return false;
	}
	if (!(out->version != 0 ? find_data(out, e) : choose_home(out, progress, e))) {
		return false;
	}
	return choose_socket(out, environment, e);
}

void postgres_place_close(postgres_place *p)
{
	char link_path[PATH_MAX];
	struct stat info;

	if (p->lock_fd < 0) {
		return;
	}
	/* A directory outside is not left behind. Without the link the next start chooses again. */
	if (join(link_path, p->directory, "socket") && lstat(link_path, &info) == 0 && S_ISLNK(info.st_mode) &&
		p->socket[0] != '\0' && rmdir(p->socket) == 0) {
		unlink(link_path);
	}
	close(p->lock_fd);
	p->lock_fd = -1;
}
