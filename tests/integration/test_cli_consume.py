"""`tidegate consume` and `tidegate tail`: a transcript for each row of the clients contract, section 11."""

import re
import time

import pytest

from harness import wait
from harness.cli import Terminal, call, start, stop

pytestmark = pytest.mark.http1("that is what the command line speaks")

WHEN = 1705334401234
SHOWN = "2024-01-15T16:00:01.234Z"


@pytest.fixture
def letters(client, topic):
    """A topic with the records a to e; b and d have keys."""
    client.put(topic, [{"value": v, "key": {"b": "kb", "d": "kd"}.get(v), "timestamp": WHEN} for v in "abcde"])
    return topic


def lines(text):
    return "".join(f"{line}\n" for line in text)


@pytest.mark.parametrize("arguments, shown", [
    (["-B"], "abcde"), (["--beginning"], "abcde"), (["-H", "2"], "cde"), (["-T", "2"], "de"), (["-T", "99"], "abcde"),
    (["--start", "3"], "de"), (["--start", "1", "--end", "3"], "bcd"), (["-B", "--end", "0"], "a"), ([], ""),
    (["-Bd", "-A"], "abcde"), (["-B", "-p", "0"], "abcde"), (["-B", "-b", "1"], "abcde"),
    (["-B", "--isolation", "read_committed"], "abcde"),
])
def test_where_it_starts_and_ends(gateway, letters, arguments, shown):
    assert call(gateway.url, "consume", letters, "-d", *arguments) == (0, lines(shown), "")


def test_an_end_ends_a_continuous_stream(gateway, letters):
    assert call(gateway.url, "consume", letters, "-B", "--end", 2) == (0, "a\nb\nc\n", "")


@pytest.mark.parametrize("arguments, shown", [
    (["-k"], "[null] a\n[kb] b\n"), (["--key-value"], "[null] a\n[kb] b\n"),
    (["-F", "{{partition}}/{{offset}} {{ key }}: {{value}}!"], "0/0 null: a!\n0/1 kb: b!\n"),
    (["-F", "{{time}}"], f"{SHOWN}\n{SHOWN}\n"), (["-F", "plain <&>"], "plain <&>\nplain <&>\n"),
    (["-O", "dynamic"], "a\nb\n"), (["-O", "text"], "a\nb\n"), (["-O", "raw"], "a\nb\n"),
    (["-O", "binary"], "".join(f"00000000  {ord(v):02x}{' ' * 48}|{v}|\n" for v in "ab")),
    (["-O", "json"], "not JSON: (1 bytes)\n" * 2), (["-O", "json", "--suppress-unknown"], ""),
    (["--truncate"], "a\nb\n"), (["--disable-progressbar"], "a\nb\n"),
])
def test_how_records_are_shown(gateway, letters, arguments, shown):
    assert call(gateway.url, "consume", letters, "-B", "--end", 1, *arguments) == (0, shown, "")


BINARY = "AAEC/2hlbGxvIHdvcmxkISEhISE="  # 00 01 02 ff hello world!!!!!


@pytest.mark.parametrize("arguments, shown", [
    ([], "00000000  00 01 02 ff 68 65 6c 6c  6f 20 77 6f 72 6c 64 21  |....hello world!|\n"
         "00000010  21 21 21 21                                       |!!!!|\n"),
    (["-O", "text"], "binary: (20 bytes)\n"), (["-O", "text", "--suppress-unknown"], ""),
    (["-O", "raw"], "\x00\x01\x02\udcffhello world!!!!!\n"),
    (["-F", "{{value}}"], "\x00\x01\x02\ufffdhello world!!!!!\n"),
])
def test_bytes_that_are_no_text(gateway, client, topic, arguments, shown):
    client.put(topic, [{"value": BINARY, "encoding": "base64"}])
    assert call(gateway.url, "consume", topic, "-Bd", *arguments) == (0, shown, "")


def test_json_and_tables(gateway, client, topic):
    client.put(topic, [{"value": {"name": "ann", "age": 7}, "timestamp": WHEN, "key": "k"},
                       {"value": {"age": 12, "more": [1], "name": "bartholomew"}, "timestamp": WHEN},
                       {"value": {"name": "c"}, "timestamp": WHEN}, {"value": "no JSON", "timestamp": WHEN}])
    assert call(gateway.url, "consume", topic, "-B", "--end", 0, "-O", "json").out == (
        '{\n  "name": "ann",\n  "age": 7\n}\n')
    assert call(gateway.url, "consume", topic, "-Bd", "-O", "table").out == (
        "name  age\nann   7\nbartholomew  12\nc            -\nnot a JSON object: (7 bytes)\n")
    assert call(gateway.url, "consume", topic, "-Bd", "-O", "full_table", "--suppress-unknown").out == (
        "PARTITION  OFFSET  TIME                      KEY  name  age\n"
        f"0          0       {SHOWN}  k    ann   7\n"
        f"0          1       {SHOWN}  null  bartholomew  12\n"
        f"0          2       {SHOWN}  null  c            -\n")


def test_json_keeps_numbers_and_texts_as_they_were_written(gateway, client, topic):
    written = '{"b": 99.99,"a":[ ],"n":123456789012345678901234567890 ,"t":"x\\u0041\\"{,","o":{"z":[1,{}]}, "b":1e2}'
    client.put(topic, [{"value": written}, {"value": "[1,"}, {"value": '{"x": 99.99}'}])
    assert call(gateway.url, "consume", topic, "-Bd", "-O", "json", "--suppress-unknown").out == (
        '{\n  "b": 99.99,\n  "a": [],\n  "n": 123456789012345678901234567890,\n  "t": "x\\u0041\\"{,",\n'
        '  "o": {\n    "z": [\n      1,\n      {}\n    ]\n  },\n  "b": 1e2\n}\n{\n  "x": 99.99\n}\n')
    assert call(gateway.url, "consume", topic, "--start", 2, "-d", "-O", "table").out == "x\n99.99\n"


def test_lines_are_cut_where_a_terminal_would_end(gateway, client, topic):
    client.put(topic, [{"value": "ü" * 100}])
    assert call(gateway.url, "consume", topic, "-Bd", "--truncate").out == "ü" * 80 + "\n"


def test_partitions_one_or_several(gateway, client, topic4):
    client.put(topic4, [{"value": f"p{p}", "partition": p} for p in range(4)])
    assert call(gateway.url, "consume", topic4, "-Bd", "-p", 2) == (0, "p2\n", "")
    assert sorted(call(gateway.url, "consume", topic4, "-Bd", "-p", 0, "-p3").out.split()) == ["p0", "p3"]
    assert sorted(call(gateway.url, "consume", topic4, "-Bd").out.split()) == ["p0", "p1", "p2", "p3"]


@pytest.mark.parametrize("arguments, complaint", [
    (["-B", "-T", "1"], "--beginning, --head, --tail and --start exclude each other"),
    (["--start", "3", "--end", "2"], "--end 2 is before --start 3"),
    (["-F", "{{value}}", "-O", "json"], "--format and --output exclude each other"),
    (["-F", "{{size}}"], "--format knows {{key}}, {{value}}, {{offset}}, {{partition}} and {{time}}, not {{size}}"),
    (["-F", "{{value"], "--format has {{ without }}"),
    (["-O", "xml"], "--output is dynamic, text, binary, json, raw, table or full_table, not `xml`"),
    (["-A", "-p", "1"], "--partition and --all-partitions exclude each other"),
    (["-T", "5000000000"], "--tail is a whole number from 0 to 4294967295, not `5000000000`"),
])
def test_wrong_usage_is_exit_2(gateway, letters, arguments, complaint):
    told = call(gateway.url, "consume", letters, "-d", *arguments)
    assert told == (2, "", f"tidegate consume: {complaint}\n`tidegate consume --help` shows how it is used\n")


def test_what_fails_is_exit_1(gateway, letters, name):
    assert call(gateway.url, "consume", name + "-none") == (
        1, "", "tidegate consume: there is no such topic; create it first\n")
    assert call(gateway.url, "consume", letters, "--start", 6) == (
        1, "", "tidegate consume: offset 6 is beyond the end of partition 0, which has the offsets from 0; "
               "the next to be written is 5\n")


def test_it_waits_for_what_comes_until_it_is_interrupted(gateway, client, letters):
    process = start(gateway.url, "consume", letters, "-T", 1)
    assert process.stdout.readline() == "e\n"
    client.put(letters, [{"value": "f"}])
    assert process.stdout.readline() == "f\n"
    assert stop(process) == (0, "", "")


def test_a_reader_that_has_enough_is_no_failure(gateway, letters):
    process = start(gateway.url, "consume", letters, "-T", 1)
    process.stdout.readline()
    process.stdout.close()
    assert call(gateway.url, "produce", letters, text="more\n").code == 0
    assert process.wait(20 * wait.SLOWNESS) == 0
    process.stderr.close()


def test_a_named_consumer_goes_on_where_it_was(gateway, client, letters, name):
    assert call(gateway.url, "consume", letters, "-B", "--end", 1, "-c", name) == (0, "a\nb\n", "")
    assert client.committed(letters, name) == {0: 2}
    # Beginning and end mean where it was.
    assert call(gateway.url, "consume", letters, "-Bd", "--consumer", name) == (0, "c\nd\ne\n", "")
    assert call(gateway.url, "consume", letters, "-d", "-c", name) == (0, "", "")
    process = start(gateway.url, "consume", letters, "-c", name)
    client.put(letters, [{"value": "f"}])
    assert process.stdout.readline() == "f\n"
    wait.until(lambda: client.committed(letters, name) == {0: 6}, "the position is saved while it waits")
    assert stop(process).code == 0


def test_on_a_terminal_it_tells_what_it_does(gateway, letters):
    terminal = Terminal(gateway.url, "consume", letters, "-T", 1)
    terminal.until("e\r\n")
    terminal.process.send_signal(2)
    assert terminal.end() == 0
    assert terminal.seen == f"Consuming records of `{letters}` from 1 before the end; Ctrl-C ends it\r\ne\r\n"


def test_tail_shows_where_and_when(gateway, letters):
    assert call(gateway.url, "tail", letters, "-d", "-n", 2) == (
        0, f"{SHOWN} 0/3 [kd] d\n{SHOWN} 0/4 [null] e\n", "")
    assert len(call(gateway.url, "tail", letters, "-d").out.splitlines()) == 5


@pytest.mark.parametrize("more, shown", [
    ({}, f"\x1b[90m{SHOWN} 0/4 \x1b[0m[null] e\r\n"), ({"NO_COLOR": "1"}, f"{SHOWN} 0/4 [null] e\r\n"),
    ({"TERM": "dumb"}, f"{SHOWN} 0/4 [null] e\r\n"),
])
def test_tail_is_coloured_for_who_wants_it(gateway, letters, more, shown):
    terminal = Terminal(gateway.url, "tail", letters, "-d", "-n", 1, more=more)
    assert terminal.end() == 0
    assert terminal.seen == shown


def test_a_record_without_a_time_of_its_own_has_the_servers(gateway, client, topic):
    before = time.time()
    client.put(topic, [{"value": "x"}])
    told = call(gateway.url, "consume", topic, "-Bd", "-F", "{{time}}").out
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n", told)
    assert told >= time.strftime("%Y-%m-%dT%H:%M", time.gmtime(before - 60))
