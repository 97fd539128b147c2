"""A private Postgres server: made, stopped, started and killed at will."""

import atexit
import contextlib
import functools
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from harness import wait

BIN = pathlib.Path(os.environ.get("TIDEGATE_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))

SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "fsync": "off",  # processes are killed here, machines are not: a slow disk is nothing these tests ask about
    "recovery_init_sync_method": "syncfs",  # the machine does not crash in these tests: no walk over all files
    "synchronous_commit": "on",
    "dynamic_shared_memory_type": "mmap",  # in the data directory: a killed server leaves nothing in /dev/shm
    "max_wal_size": "1GB",
    "log_line_prefix": "'%m [%p] '",
}


def _as_postgres():
    """Postgres refuses to run as root, so its processes become the user `postgres` then."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def children_of(pid):
    """Live processes whose parent is pid."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def _state(pid):
    """The letter of proc(5); X for a process that is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_running(pid):
    """False for a process that is gone or waits, dead, for its parent."""
    return _state(pid) not in "ZX"


@functools.cache
def _template():
    """An empty cluster, made once: copying it is many times faster than initdb."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="tgpg", dir="/tmp"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    who = _as_postgres()
    if who:
        os.chown(home, who["user"], who["group"])
    subprocess.run(
        [BIN / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True, capture_output=True, cwd="/", **who)
    return home / "data"


class Postgres:
    """data: a directory on another disk for the data without the write-ahead log; wal: one for the log alone. of: the primary
    to be a standby of."""

    def __init__(self, data=None, wal=None, of=None):
        # Socket paths have about 100 bytes: keep it short.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tgpg", dir="/tmp"))
        self.data = pathlib.Path(data or self.home) / "data"
        self.log = self.home / "log"
        self.process = None
        self._as = _as_postgres()
        if self._as:
            os.chown(self.home, self._as["user"], self._as["group"])
        self.home.chmod(0o755)
        if of is None:
            subprocess.run(["cp", "-a", _template(), self.data], check=True)
        else:
            self._run("pg_basebackup", "-D", self.data, "-d", f"host={of.home} user=postgres", "-R", "-c", "fast",
                      "--no-sync")
        if data is not None or wal is not None:
            log = pathlib.Path(wal or self.home) / "pg_wal"
            subprocess.run(["mv", self.data / "pg_wal", log], check=True)
            (self.data / "pg_wal").symlink_to(log)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"unix_socket_directories = '{self.home}'\n")
            conf.writelines(f"{key} = {value}\n" for key, value in SETTINGS.items())

    def _run(self, program, *arguments):
        subprocess.run([BIN / program, *arguments], check=True, capture_output=True, cwd="/", **self._as)

    def url(self, database="postgres"):
        return f"host={self.home} user=postgres dbname={database} connect_timeout=5"

    # ---- state ----

    def start(self):
        assert self.process is None, "already started"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN / "postgres", "-D", self.data], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/", **self._as)
        wait.until(self._answers, "Postgres accepts connections")

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Postgres ended: {self.log_tail()}")
        return subprocess.run([BIN / "pg_isready", "-q", "-h", self.home], check=False).returncode == 0

    def stop(self, mode="fast"):
        """fast: sessions are cut, a shutdown checkpoint is written. immediate: as in a crash, by Postgres itself."""
        self._end(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def kill9(self):
        """The postmaster and all of its children at once, as when the machine's processes die."""
        self._end(signal.SIGKILL)

    def _held(self):
        """All processes, the postmaster first, which stands still now: without that it may make another one meanwhile, which
        nobody stops or waits for."""
        _signal(self.process.pid, signal.SIGSTOP)
        wait.until(lambda: _state(self.process.pid) in "TZX", "the postmaster stands still", pause_s=0.001)
        return [self.process.pid, *children_of(self.process.pid)]

    def _end(self, number):
        pids = self._held() if number == signal.SIGKILL else [self.process.pid, *children_of(self.process.pid)]
        if number == signal.SIGKILL:
            for pid in pids:
                _signal(pid, number)
        else:
            _signal(pids[0], number)
        self.process.wait(wait.DEADLINE_S)
        wait.until(lambda: not any(is_running(pid) for pid in pids), "all Postgres processes are gone")
        self.process = None

    def has_ended(self):
        """By itself; it can be started again then."""
        if self.process.poll() is None:
            return False
        self.process = None
        return True

    def promote(self):
        """A standby becomes a primary."""
        self._run("pg_ctl", "-D", self.data, "-s", "-w", "promote")

    def archive_to(self, directory_name):
        """Archives the write-ahead log from now on; restarts. Returns the directory."""
        directory = self.home / directory_name
        subprocess.run(["mkdir", directory], check=True, **self._as)
        self.psql("ALTER SYSTEM SET archive_mode = on")
        self.psql(f"ALTER SYSTEM SET archive_command = 'cp %p {directory}/%f'")
        self.stop()
        self.start()
        return directory

    def recover_to(self, moment, archive):
        """A standby that was never started becomes a restored backup: at its start it replays the archive up to the moment, and
        is a server of its own then."""
        subprocess.run(["mv", self.data / "standby.signal", self.data / "recovery.signal"], check=True)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment}'\n"
                       "recovery_target_action = promote\n")

    def freeze(self):
        """Everything stands still, connections stay open: a hanging machine."""
        for pid in self._held():
            _signal(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            _signal(pid, signal.SIGCONT)

    def remove(self):
        if self.process:
            self.thaw()
            self.kill9()
        shutil.rmtree(self.home, ignore_errors=True)

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    # ---- SQL ----

    def psql(self, sql, database="postgres"):
        """Rows as lists of text; NULL is the empty text."""
        done = subprocess.run(
            [BIN / "psql", "-h", self.home, "-U", "postgres", "-d", database, "-X", "-q", "-A", "-t", "-F", "\x1f",
             "-v", "ON_ERROR_STOP=1", "-c", sql], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"psql: {done.stderr.strip()}"
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def create_database(self, name):
        self.psql(f'CREATE DATABASE "{name}"')
        return Database(self, name)


class Database:
    """One database of a server: what a gateway is pointed at."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.url = server.url(name)

    def psql(self, sql):
        return self.server.psql(sql, self.name)

    def awaits_lock(self):
        """Whether some transaction waits for another's lock."""
        return self.psql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") != []

    @contextlib.contextmanager
    def holding(self, sql):
        """A transaction that has run `sql`, a query with a row, and keeps its locks until the end of the block."""
        with subprocess.Popen([BIN / "psql", "-h", self.server.home, "-U", "postgres", "-d", self.name, "-X", "-q", "-A", "-t"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            session.stdin.write(f"BEGIN; {sql};\n")
            session.stdin.flush()
            assert session.stdout.readline(), sql
            try:
                yield
            finally:
                session.stdin.write("COMMIT;\n")
                session.stdin.close()
                session.wait(wait.DEADLINE_S)

    def drop(self):
        if self.server.process:
            self.server.psql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
