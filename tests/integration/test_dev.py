"""`tidegate dev`: the gateway with a Postgres of its own."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness import gateway as processes
from harness import wait
from harness.client import Client, values
from harness.gateway import Process
from harness.postgres import children_of, is_running

pytestmark = [pytest.mark.slow, pytest.mark.http1("it is about processes and files")]


def users():
    """Who runs it: the user of this test run, and an ordinary one if that is root."""
    return ["me", "nobody"] if os.geteuid() == 0 else ["me"]


def kill_9(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # some end by themselves, as children do when the first one is gone
            os.kill(pid, signal.SIGKILL)


def open_files(pid):
    """What the descriptors of a process are; none of one that has ended meanwhile."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
    return found


class Dev:
    def __init__(self, user):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tgdev", dir="/tmp"))
        self.home.chmod(0o755)
        self.popen = {}
        self.binary = processes.BINARY
        if user != "me":
            account = pwd.getpwnam(user)
            self.popen = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            # The build tree may be out of that user's reach.
            self.binary = pathlib.Path(shutil.copy(processes.BINARY, self.home / "tidegate"))
            work = self.home / "work"
            work.mkdir()
            os.chown(work, account.pw_uid, account.pw_gid)
        else:
            work = self.home
        self.data = work / "data"
        self.all = []

    def process(self, *more, data=None):
        made = Process(["dev", "--data", str(data or self.data), "--listen", "127.0.0.1:0", *more], {}, popen=self.popen,
                       name=f"dev-{len(self.all) + 1}")
        made.arguments[len(processes.WRAPPER)] = str(self.binary)
        if self.popen:
            os.chown(made.home, self.popen["user"], self.popen["group"])
        self.all.append(made)
        return made

    def start(self, *more):
        return self.process(*more).start()

    def postgres_pids(self):
        """All processes of the embedded server, by its data directory."""
        try:
            postmaster = int(next(self.data.rglob("postmaster.pid")).read_text().splitlines()[0])
        except (StopIteration, OSError, ValueError, IndexError):
            return []
        return [pid for pid in (postmaster, *children_of(postmaster)) if is_running(pid)]

    def finish(self):
        pids = self.postgres_pids()
        try:
            for process in self.all:
                process.finish()
        finally:
            kill_9(pids)
            wait.until(lambda: not any(is_running(pid) for pid in pids), "no Postgres is left")
            shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(params=users())
def dev(request):
    made = Dev(request.param)
    try:
        yield made
    finally:
        made.finish()


@pytest.fixture
def dev_me():
    made = Dev("me")
    try:
        yield made
    finally:
        made.finish()


def test_dev_starts_a_postgres_serves_and_ctrl_c_stops_both(dev):
    process = dev.start()
    with Client(process.url) as client:
        client.make("t", 2)
        assert client.put("t", [{"value": "v", "partition": 1}]) == [(1, 0)]
    pids = dev.postgres_pids()
    assert pids
    process.signal(signal.SIGINT)
    assert process.wait_exit(30 * wait.SLOWNESS) == 0
    wait.until(lambda: not any(is_running(pid) for pid in pids), "Postgres has stopped too")
    # A clean stop: nothing to recover at the next start.
    assert not list(dev.data.rglob("postmaster.pid"))


def test_what_was_acknowledged_is_there_after_a_stop_and_a_start(dev):
    process = dev.start()
    with Client(process.url) as client:
        client.make("t")
        client.put("t", [{"value": str(i)} for i in range(10)])
    process.signal(signal.SIGTERM)
    assert process.wait_exit(30 * wait.SLOWNESS) == 0
    process.start()
    with Client(process.url) as client:
        assert values(client.read_all("t")) == [str(i) for i in range(10)]


def test_killed_with_9_and_started_again_it_keeps_its_data(dev):
    process = dev.start()
    for round_ in range(3):
        with Client(process.url) as client:
            if round_ == 0:
                client.make("t")
            client.put("t", [{"value": str(round_)}])
        process.kill()
        # Whether the orphaned Postgres still runs is its own affair: the next start has to cope with either.
        process.start()
    with Client(process.url) as client:
        assert values(client.read_all("t")) == ["0", "1", "2"]
        client.put("t", [{"value": "end"}])


def test_killed_together_with_its_postgres_it_keeps_its_data(dev_me):
    process = dev_me.start()
    with Client(process.url) as client:
        client.make("t")
        client.put("t", [{"value": "kept"}])
    pids = dev_me.postgres_pids()
    process.kill()
    kill_9(pids)
    wait.until(lambda: not any(is_running(pid) for pid in pids), "Postgres is dead")
    process.start()
    with Client(process.url) as client:
        assert values(client.read_all("t")) == ["kept"]


def test_a_killed_gateway_does_not_leave_a_postgres_behind_for_ever(dev_me):
    """After kill -9 and a normal start and stop, no process is left."""
    process = dev_me.start()
    first = dev_me.postgres_pids()
    process.kill()
    process.start()
    second = dev_me.postgres_pids()
    process.signal(signal.SIGINT)
    assert process.wait_exit(30 * wait.SLOWNESS) == 0
    wait.until(lambda: not any(is_running(pid) for pid in first + second), "no Postgres is left")


def test_a_second_instance_on_the_same_data_refuses_and_leaves_the_first_alone(dev):
    first = dev.start()
    with Client(first.url) as client:
        client.make("t")
        second = dev.process()
        with pytest.raises(RuntimeError) as caught:
            second.start()
        assert "ended with 0" not in str(caught.value)
        assert str(dev.data) in str(caught.value)
        assert client.put("t", [{"value": "still here"}]) == [(0, 0)]


def test_the_embedded_postgres_listens_on_no_network(dev_me):
    process = dev_me.start()
    pids = dev_me.postgres_pids()
    assert open_files(pids[0])  # of the one that does not end
    inodes = set().union(*map(open_files, pids))
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # listening
                assert f"socket:[{fields[9]}]" not in inodes
    assert process.is_running


def test_data_in_a_deep_directory_works_although_socket_paths_are_short(dev_me):
    deep = dev_me.home / ("d" * 60) / ("e" * 60) / "data with blank"
    process = dev_me.process(data=deep)
    dev_me.data = deep
    process.start()
    with Client(process.url) as client:
        client.make("t")


def test_dev_tells_what_to_try_next(dev_me):
    process = dev_me.start()
    wait.until(lambda: "curl" in process.log_text(), "the welcome is printed")
    tried = 0
    for line in process.log_text().splitlines():
        command = line.strip()
        if command.startswith("curl "):
            # As a new user would: exactly what is printed. Live reading has no end, so it gets a second.
            live = "/stream" in command
            done = subprocess.run(["bash", "-c", ("timeout 1 " if live else "") + command + " --noproxy '*' -sS"],
                                  capture_output=True, text=True, check=False, timeout=30)
            assert done.returncode == (124 if live else 0), (command, done.stderr)
            assert '"error"' not in done.stdout, (command, done.stdout)
            tried += 1
    assert tried >= 3


def test_the_seed_s_port_is_the_default(dev_me):
    done = subprocess.run([*processes.WRAPPER, processes.BINARY, "dev", "--help"], capture_output=True, text=True, check=True)
    assert "5470" in done.stdout
