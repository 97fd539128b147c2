"""The walk-through of httpmq's own page: its commands to the letter (but for host and port), and the answers it prints."""

import json
import pathlib
import re
import subprocess

from harness import wait
from harness.httpmq import Mq

PAGE = (pathlib.Path(__file__).parent / "seeds" / "httpmq-readme.txt").read_text(encoding="utf-8")
MADE_UP = {"request_id", "created", "deliver_subject", "last_active"}  # differ from run to run


def commands():
    """Those that begin with "$ curl", up to the end of their quotes."""
    found = []
    lines = iter(PAGE.splitlines())
    for line in lines:
        if line.startswith("$ curl"):
            command = line[2:]
            while command.count("'") % 2 or command.endswith("\\"):
                command += "\n" + next(lines)
            found.append(command.replace(" | jq '.'", ""))
    return found


def printed(after):
    """The JSON object that the page prints next."""
    text = PAGE[PAGE.index(after) + len(after):]
    return json.JSONDecoder().raw_decode(text[text.index('{"success"') if '{"success"' in text[:300] else text.index("{\n"):])[0]


def pointed_at(gateway, command):
    # A URL with a query is not quoted on the page; the shell would take the question mark for a pattern, and find no file.
    here = re.sub(r"127\.0\.0\.1:300[01]", f"{gateway.host}:{gateway.port}", command)
    return ["bash", "-c", here.replace("curl ", f"exec curl -sSN --max-time {wait.DEADLINE_S} ", 1)]


def run(command, gateway):
    return subprocess.run(pointed_at(gateway, command), capture_output=True, text=True, check=False).stdout


def contains(answer, wanted):
    for key, value in wanted.items():
        if key in MADE_UP:
            continue
        if isinstance(value, dict):
            contains(answer[key], value)
        else:
            assert answer[key] == value, (key, answer[key], value)


def test_the_walk_through(gateway):
    steps = commands()
    assert len(steps) == 8
    for step in steps[:5]:
        answer = json.loads(run(step, gateway))
        assert answer["success"] is True, step
        if " -X " not in step:
            contains(answer, printed(step.split("\n")[0]))
    subscribe, ack, second = steps[5:]
    assert "--http2-prior-knowledge" in subscribe
    with subprocess.Popen(pointed_at(gateway, subscribe), stdout=subprocess.PIPE, text=True) as curl:
        line = json.loads(curl.stdout.readline())
        contains(line, {"stream": "testStream00", "subject": "test-subject.01", "consumer": "testConsumer00",
                        "sequence": {"stream": 1, "consumer": 1}, "b64_msg": "SGVsbG8gV29ybGQK"})
        for step in (ack, second):
            assert json.loads(run(step, gateway))["success"] is True
        curl.terminate()
    with Mq(gateway.url) as mq:
        assert mq.standing("testStream00", "testConsumer00") == ((1, 1), (1, 1), 0, 0, 0)
