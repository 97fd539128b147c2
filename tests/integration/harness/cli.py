"""The program as a user of its client verbs calls it: produce, consume, topic …, without a terminal and with one."""

import codecs
import os
import pty
import select
import signal
import subprocess
import time
import typing

from harness import gateway as processes
from harness import wait
from harness.gateway import ALARMS, WRAPPER, environment


class Done(typing.NamedTuple):
    code: int
    out: str
    err: str


def command(*arguments):
    return [*WRAPPER, processes.BINARY, *map(str, arguments)]


def call(url, *arguments, text=b"", **settings):
    """One call that ends by itself; text goes to its standard input."""
    settings.setdefault("profiles", "/dev/null/none")
    if url is not None:
        settings["url"] = url
    done = subprocess.run(command(*arguments), env=environment(**settings), check=False, capture_output=True,
                          input=text.encode() if isinstance(text, str) else text, timeout=60 * wait.SLOWNESS)
    out, err = done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")
    assert not any(alarm in err for alarm in ALARMS), err
    return Done(done.returncode, out, err)


def start(url, *arguments, **settings):
    """One that goes on; `stop` ends it."""
    return subprocess.Popen(command(*arguments), env=environment(url=url, profiles="/dev/null/none", **settings),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process, number=signal.SIGINT):
    process.send_signal(number)
    out, err = process.communicate(timeout=60 * wait.SLOWNESS)
    assert not any(alarm in err for alarm in ALARMS), err
    return Done(process.returncode, out, err)


class Terminal:
    """The program with a person in front of it: `type` what they type, `until` what they see."""

    def __init__(self, url, *arguments, more=None):
        self.fd, inner = pty.openpty()
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end inside a character
        self.seen = ""
        env = environment(url=url, profiles="/dev/null/none") | {"TERM": "xterm"} | (more or {})
        self.process = subprocess.Popen(command(*arguments), env=env, stdin=inner, stdout=inner, stderr=inner,
                                        start_new_session=True)
        os.close(inner)

    def type(self, text):
        os.write(self.fd, text.encode())

    def _read(self):
        self.seen += self._decoder.decode(os.read(self.fd, 65536))

    def until(self, text):
        deadline = time.monotonic() + 20 * wait.SLOWNESS
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 0.5)[0]:
                self._read()

    def end(self):
        """The exit code, once it has ended."""
        try:
            while select.select([self.fd], [], [], 20 * wait.SLOWNESS)[0]:
                self._read()
        except OSError:  # the other side is closed
            pass
        os.close(self.fd)
        return self.process.wait(20 * wait.SLOWNESS)
