"""The program under test: started, watched, stopped and killed."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile

from harness import wait
from harness.client import Client

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("TIDEGATE_BINARY", ROOT / "build" / "release" / "tidegate")).absolute()
WRAPPER = shlex.split(os.environ.get("TIDEGATE_WRAPPER", ""))

# What a sanitizer or the C library writes when something is wrong inside.
ALARMS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:",
          "Assertion ", "stack smashing detected", "double free", "free(): ", "malloc(): ", "buffer overflow detected")

# Everything that was started and not yet forgotten; conftest shows their logs when a test fails.
started = []


def environment(**settings):
    """The environment of a child: nothing of ours leaks in but PATH, sanitizer options and the settings given. A name in
    capitals is that of a variable."""
    kept = {name: value for name, value in os.environ.items()
            if name in ("PATH", "LANG", "TMPDIR") or name.endswith("SAN_OPTIONS")}
    kept.setdefault("LANG", "C.UTF-8")
    # A suppression file or an exit code that hides a finding would make the suite blind.
    kept.update({name if name.isupper() else f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()})
    return kept


def run(*arguments, database=None, check=True, timeout=60, **settings):
    """One of the subcommands that end by themselves: migrate, key, tenant, version …"""
    if database is not None:
        settings["database_url"] = database.url
    done = subprocess.run([*WRAPPER, BINARY, *map(str, arguments)], env=environment(**settings), text=True, check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout * wait.SLOWNESS)
    alarms = [line for line in done.stderr.splitlines() if any(alarm in line for alarm in ALARMS)]
    assert not alarms, f"{arguments}: {done.stderr}"
    if check:
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr}{done.stdout}"
    return done


class Process:
    """A long-running subcommand that serves HTTP and writes its addresses to a port file."""

    def __init__(self, arguments, settings, popen=None, name="gateway"):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tggw"))
        self.home.chmod(0o777)
        self.port_file = self.home / "ports"
        self.log = self.home / f"{name}.log"
        self.name = name
        self.arguments = [*WRAPPER, str(BINARY), *arguments, "--port-file", str(self.port_file)]
        self.settings = settings
        self.popen = popen or {}
        self.process = None
        self.exit_code = None
        self.addresses = []
        self.url = None
        self.shown_from = 0  # conftest: where the log stood when the test began
        started.append(self)

    def start(self, ready=True):
        self.spawn()
        return self.wait_port(ready)

    def spawn(self):
        """Only the process: it may wait for something before it serves."""
        assert self.process is None, "already started"
        self.port_file.unlink(missing_ok=True)
        self.exit_code = None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, env=environment(**self.settings), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, **self.popen)

    def wait_port(self, ready=True):
        wait.until(self._has_port, f"{self.name} wrote its port file", deadline_s=40 * wait.SLOWNESS)
        self.addresses = self.port_file.read_text().split()
        self.url = f"http://{self.addresses[0]}"
        if ready:
            self.wait_ready()
        return self

    def _has_port(self):
        if self.process.poll() is not None:
            code = self.process.returncode
            self.process = None
            raise RuntimeError(f"{self.name} ended with {code} at start:\n{self.log_text()[-4000:]}")
        return self.port_file.exists()

    def wait_ready(self, deadline_s=wait.DEADLINE_S):
        with Client(self.url) as client:
            wait.until(lambda: client.is_ready(), f"{self.name} is ready", deadline_s)

    @property
    def host(self):
        return self.addresses[0].rpartition(":")[0]

    @property
    def port(self):
        return int(self.addresses[0].rpartition(":")[2])

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, deadline_s=wait.DEADLINE_S):
        """The exit code, once it has ended by itself or after a signal()."""
        assert self.process is not None, f"{self.name} is not running"
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {deadline_s:.0f} s") from None
        self.process = None
        self.exit_code = code
        return code

    def stop(self, deadline_s=wait.DEADLINE_S):
        """As an operator would; the exit code has to be 0 and the log free of alarms."""
        self.signal(signal.SIGTERM)
        code = self.wait_exit(deadline_s)
        self.check_log()
        assert code == 0, f"{self.name} ended with {code} after SIGTERM"

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(wait.DEADLINE_S)
            self.process = None

    def finish(self):
        """At the end of a fixture: stop what runs, complain about what died unasked."""
        try:
            if self.process is not None:
                if self.process.poll() is not None:
                    code = self.process.returncode
                    self.process = None
                    self.check_log()
                    raise AssertionError(f"{self.name} died by itself with {code}:\n{self.log_text()[-4000:]}")
                self.stop()
            self.check_log()
        finally:
            self.kill()
            started.remove(self)
            if not os.environ.get("TIDEGATE_TEST_KEEP"):
                shutil.rmtree(self.home, ignore_errors=True)

    # ---- what it said ----

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check_log(self):
        for number, line in enumerate(lines := self.log_text().splitlines()):
            if any(alarm in line for alarm in ALARMS):
                raise AssertionError(f"{self.name} logged an alarm:\n" + "\n".join(lines[number:number + 60]))

    @contextlib.contextmanager
    def grows_at_most(self, limit_bytes):
        """What happens inside costs no more memory than that. Sanitizers keep what was freed: nothing to measure there."""
        before = self.resident_bytes()
        yield
        grown = self.resident_bytes() - before
        assert grown <= limit_bytes or wait.SLOWNESS > 1, f"{self.name} grew by {grown >> 20} MiB"

    @contextlib.contextmanager
    def peaks_at_most(self, limit_bytes):
        """The same for the most that it costs at any moment."""
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # the peak begins here
        before = self.resident_bytes()
        yield
        grown = self._memory("VmHWM") - before
        print(f"{self.name}: {before >> 20} MiB, at most {grown >> 20} MiB more")
        assert grown <= limit_bytes or wait.SLOWNESS > 1, f"{self.name} took {grown >> 20} MiB"

    def resident_bytes(self):
        return self._memory("VmRSS")

    def _memory(self, field):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field}")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Gateway(Process):
    """`tidegate serve` on a free port."""

    def __init__(self, database, name="gateway", **settings):
        self.database = database
        super().__init__(["serve"], {"database_url": database.url, "listen": "127.0.0.1:0", **settings}, name=name)

    def client(self, **options):
        return Client(self.url, **options)

    def metric(self, name):
        with self.client() as client:
            return client.metric(name)
