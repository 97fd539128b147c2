"""The quickstart page of the durable streams protocol: its commands, as printed, and the answers it shows."""

import pathlib
import re
import subprocess

import pytest

from harness import wait

PAGE = (pathlib.Path(__file__).parent / "seeds" / "durable-streams-quickstart.txt").read_text(encoding="utf-8")
HOST = "http://localhost:4437"


def commands():
    """The curl commands in order, with their continued lines."""
    return re.findall(r"^curl (?:[^\n]*\\\n)*[^\n]*$", PAGE, re.MULTILINE)


def shell(command, gateway):
    # The page's address and nothing else is replaced.
    done = subprocess.run(["bash", "-c", command.replace(HOST, gateway.url)], text=True, capture_output=True, check=True,
                          timeout=60, env={"PATH": "/usr/bin:/bin", "no_proxy": "*", "HOME": "/nonexistent"})
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    lines = head.split("\n")
    return lines[0], dict(line.split(": ", 1) for line in lines[1:]), body


class Watcher:
    """`curl -N`, whose output is read as it comes."""

    def __init__(self, command, gateway):
        self.process = subprocess.Popen(["bash", "-c", "exec " + command.replace(HOST, gateway.url)], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env={"PATH": "/usr/bin:/bin", "no_proxy": "*", "HOME": "/nonexistent"})

    def lines(self, count):
        got = []
        while len(got) < count:
            line = self.process.stdout.readline()
            assert line, got
            if line.strip() and not line.startswith(":"):
                got.append(line.rstrip("\n"))
        return got

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.slow
def test_the_page_as_printed(gateway):
    create, first, second, read_all, resume, watch, live, delete = commands()
    status, headers, _ = shell(create, gateway)
    assert status == "HTTP/1.1 201 Created"
    assert headers["Location"] == f"{gateway.url}/v1/stream/my-stream"
    assert headers["Content-Type"] == "text/plain"
    assert headers["Stream-Next-Offset"] == "0000000000000000_0000000000000000"

    status, headers, _ = shell(first, gateway)
    assert status == "HTTP/1.1 204 No Content"
    assert headers["Stream-Next-Offset"] == "0000000000000001_000000000000000b"
    shell(second, gateway)

    status, headers, body = shell(read_all, gateway)
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"] == "text/plain"
    assert headers["Stream-Next-Offset"] == "0000000000000002_0000000000000019"
    assert headers["Stream-Up-To-Date"] == "true"
    assert headers["ETag"].endswith(':-1:0000000000000002_0000000000000019"')
    assert body == "hello worldsecond message"

    status, headers, body = shell(resume, gateway)
    assert (status, headers["Stream-Up-To-Date"], body) == ("HTTP/1.1 200 OK", "true", "")

    watcher = Watcher(watch, gateway)
    try:
        lines = watcher.lines(8)
        assert lines[:2] == ["event: data", "data:hello world"]
        assert lines[4:6] == ["event: data", "data:second message"]
        assert lines[6] == "event: control"
        assert lines[7].startswith('data:{"streamNextOffset":"0000000000000002_0000000000000019","streamCursor":"')
        assert lines[7].endswith('"upToDate":true}')
        subprocess.run(["bash", "-c", live.replace(HOST, gateway.url)], check=True, capture_output=True, timeout=60)
        lines = watcher.lines(4)
        assert lines[:3] == ["event: data", "data:live update", "event: control"]
        assert '"streamNextOffset":"0000000000000003_0000000000000024"' in lines[3]
        status, _, _ = shell(delete, gateway)
        assert status == "HTTP/1.1 204 No Content"
        wait.until(lambda: watcher.process.poll() is not None, "the watcher is told that the stream has gone")
    finally:
        watcher.stop()
