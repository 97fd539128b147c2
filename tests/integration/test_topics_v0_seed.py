"""The quickstart page of the topics API: its curl commands as printed, in their order, against one server."""

import json
import os
import pathlib
import re
import subprocess

from harness.client import Client

PAGE = (pathlib.Path(__file__).parent / "seeds" / "topics-quickstart.txt").read_text(encoding="utf-8")

# The page lost its line breaks: a backslash with a blank stands where a line was continued.
COMMAND = re.compile(r"""curl (?:-X \w+ )?\$TOPICS\S+(?: \\ -H '[^']*')?(?: \\ -d '[^']*')?""")
ANSWER = re.compile(r'^\{ "topic".*\}$', re.MULTILINE)
CONFIG_THAT_GREW = {"type", "priority", "auto_priority", "lease_ms", "claim_jitter_ms", "max_deliveries", "dead_letter",
                    "leases_durable"}


def commands():
    return [command.replace(" \\ ", " \\\n  ") for command in COMMAND.findall(PAGE)]


def shell(command, url):
    environment = {"PATH": os.environ["PATH"], "TOPICS": url, "NO_PROXY": "*", "no_proxy": "*", "HOME": "/nonexistent"}
    done = subprocess.run(["bash", "-c", command.replace("curl ", "curl -sS ", 1)], env=environment, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names_of(value):
    return set(value) - {"performance"} if isinstance(value, dict) else set()


def test_the_page_works_line_by_line(fleet, fresh_database):
    worker = fleet.start(fresh_database)
    found = commands()
    assert len(found) == 6, found
    printed = [json.loads(text) for text in ANSWER.findall(PAGE)]
    put, write, diff, watch, router, delete = (shell(command, worker.url) for command in found)
    expected_put, expected_write, expected_diff, expected_delete = printed

    assert (put["topic"], put["created"]) == ("orders", True)
    assert set(expected_put["config"]) == set(put["config"]) - CONFIG_THAT_GREW
    assert {name: put["config"][name] for name in expected_put["config"]} == expected_put["config"]

    assert {name: write[name] for name in names_of(expected_write)} == {
        name: expected_write[name] for name in names_of(expected_write)}

    assert names_of(diff) == names_of(expected_diff)
    for record, expected in zip(diff["records"], expected_diff["records"], strict=True):
        assert record["data"] == expected["data"] and record["$seq"] == expected["$seq"]
    assert {name: diff[name] for name in ("next_from_seq", "head_seq", "earliest_seq", "caught_up", "tombstone", "lag")} == {
        name: expected_diff[name] for name in ("next_from_seq", "head_seq", "earliest_seq", "caught_up", "tombstone", "lag")}

    assert re.fullmatch(r"wid_[A-Za-z0-9_-]{22}", watch["wid"]) and watch["stream_url"] == f"/v0/watch/{watch['wid']}"
    assert (router["source"], router["dest"], router["created"]) == ("orders", "fulfillment", True)
    assert {name: delete[name] for name in names_of(expected_delete)} == {
        name: expected_delete[name] for name in names_of(expected_delete)}

    with Client(worker.url) as client, client.get(watch["stream_url"], stream=True) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines(decode_unicode=True)
        text = [next(lines) for _ in range(6)]
        assert text[0] == "retry: 2000" and "event: record" in text, text
