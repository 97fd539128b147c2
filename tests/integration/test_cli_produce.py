"""`tidegate produce`: a transcript for each row of the clients contract, section 11."""

import pytest

from harness.cli import Terminal, call
from harness.client import values

pytestmark = pytest.mark.http1("that is what the command line speaks")


def stored(client, topic, partition=0):
    return [(m["key"], m["value"]) for m in client.read_all(topic, partition)]


def test_each_line_of_standard_input_is_a_record(gateway, client, topic):
    assert call(gateway.url, "produce", topic, text="one\ntwo\r\n\n last without an end") == (0, "", "")
    assert stored(client, topic) == [(None, "one"), (None, "two"), (None, ""), (None, " last without an end")]


def test_nothing_is_no_record(gateway, client, topic):
    assert call(gateway.url, "produce", topic) == (0, "", "")
    assert stored(client, topic) == []


def test_on_a_terminal_it_prompts_and_says_ok(gateway, client, topic):
    terminal = Terminal(gateway.url, "produce", topic)
    terminal.until("> ")
    terminal.type("hello\n")
    ok = "\x1b[1;32mOk!\x1b[0m\r\n"
    terminal.until(f"{ok}> ")
    # The terminal itself echoes what is typed, at the moment that it is.
    terminal.type("world\n")
    terminal.until(f"world\r\n{ok}> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert terminal.seen == f"> hello\r\n{ok}> world\r\n{ok}> \r\n"
    assert values(client.read_all(topic)) == ["hello", "world"]


def test_a_file_by_lines_and_as_one_record(gateway, client, topic, tmp_path):
    path = tmp_path / "lines"
    path.write_text("".join(f"line {n}\n" for n in range(3000)))
    assert call(gateway.url, "produce", topic, "-f", path) == (0, "", "")
    assert call(gateway.url, "produce", topic, "--file", path, "--raw") == (0, "", "")
    found = values(client.read_all(topic))
    assert found[:-1] == [f"line {n}" for n in range(3000)]
    assert found[-1] == path.read_text()


def test_raw_takes_all_of_standard_input_byte_for_byte(gateway, client, topic):
    assert call(gateway.url, "produce", topic, "--raw", text=b"\x00\xff\r\n\n") == (0, "", "")
    [message] = client.read_all(topic)
    assert (message["encoding"], message["value"]) == ("base64", "AP8NCgo=")


def test_a_key_for_all(gateway, client, topic):
    assert call(gateway.url, "produce", topic, "--key", "k", text="a\nb\n") == (0, "", "")
    assert stored(client, topic) == [("k", "a"), ("k", "b")]


def test_a_separator_splits_key_and_value(gateway, client, topic):
    told = call(gateway.url, "produce", topic, "--key-separator", "=>", "-v", text="a=>1\nnone\nb=>=>2\n=>3\n")
    assert told == (0, "[a] 1\n[b] =>2\n[] 3\n",
                    "tidegate produce: line 2 has no separator `=>` and was skipped\n")
    assert stored(client, topic) == [("a", "1"), ("b", "=>2"), (None, "3")]
    # Without -v it is silent.
    assert call(gateway.url, "produce", topic, "--key-separator", ":", text="c:4\n") == (0, "", "")


@pytest.mark.parametrize("arguments, complaint", [
    (["--key-separator", ":", "--raw"], "--key-separator excludes --raw"),
    (["--key-separator", ":", "--key", "k"], "--key-separator excludes --key"),
    (["--key-separator", ""], "--key-separator must not be empty"),
    (["--compression", "brotli"], "--compression is none, gzip, snappy, lz4 or zstd, not `brotli`"),
    (["--linger", "fast"], "--linger is a number and one of ms, s, m, h, d, w, y, as in 150ms or 7d, not `fast`"),
    (["--batch-size", "x"], "--batch-size is a number of bytes such as 4096, 10M, 1.5GB or 10MiB, not `x`"),
    (["--isolation", "loose"], "--isolation is read_committed or read_uncommitted, not `loose`"),
    (["--delivery-semantic", "twice"], "--delivery-semantic is at-least-once or at-most-once, not `twice`"),
    (["-p", "-1"], "--partition is a whole number from 0 to 1023, not `-1`"),
    (["-x"], "option -x is not known"),
    (["--key"], "option --key needs a value"),
])
def test_wrong_usage_is_exit_2_and_stores_nothing(gateway, client, topic, arguments, complaint):
    told = call(gateway.url, "produce", topic, *arguments, text="x\n")
    assert told == (2, "", f"tidegate produce: {complaint}\n`tidegate produce --help` shows how it is used\n")
    assert stored(client, topic) == []


@pytest.mark.parametrize("arguments", [
    ["--compression", "ZSTD"], ["--compression", "gzip"], ["--linger", "150ms"], ["--batch-size", "1KiB"],
    ["--max-request-size", "2M"], ["--isolation", "ReadCommitted"], ["--isolation", "read_uncommitted"],
    ["--delivery-semantic", "at-most-once"], ["--delivery-semantic", "AtLeastOnce"],
])
def test_what_a_producer_can_be_told(gateway, client, topic, arguments):
    assert call(gateway.url, "produce", topic, *arguments, text="x\n") == (0, "", "")
    assert stored(client, topic) == [(None, "x")]


def test_a_partition_for_all(gateway, client, topic4):
    assert call(gateway.url, "produce", topic4, "-p", 2, text="a\nb\n") == (0, "", "")
    assert values(client.read_all(topic4, 2)) == ["a", "b"]


def test_what_fails_is_exit_1_and_says_what_to_do(gateway, topic, name):
    assert call(gateway.url, "produce", name + "-none", text="x\n") == (
        1, "", "tidegate produce: there is no such topic; create it first\n")
    assert call(gateway.url, "produce", topic, "-p", 7, text="x\n") == (
        1, "", "tidegate produce: there is no partition 7; the topic has 0 to 0\n")
    assert call(gateway.url, "produce", topic, "--max-request-size", "100", "--batch-size", "100",
                text="y" * 200) == (
        1, "", "tidegate produce: the record needs 270 bytes in a batch of its own; max_request_size is 100\n")
    told = call(gateway.url, "produce", topic, "-f", "/nonexistent")
    assert told == (1, "", "tidegate produce: the file /nonexistent cannot be read: No such file or directory\n")
    told = call("http://127.0.0.1:9", "produce", topic)
    assert told.code == 1 and "check the endpoint, the network and TLS" in told.err
