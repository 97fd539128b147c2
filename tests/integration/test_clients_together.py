"""What one client library produces, the others read: every pair of languages, every compression (clients contract, 16.6).

A library whose test program is not built here is left out: tg_relay of clients/c, test/relay.mjs of clients/typescript (it
needs Node 20 and the built package).
"""

import functools
import re
import shutil
import subprocess
import sys

import pytest

from harness import gateway as processes
from harness import wait
from harness.gateway import ROOT, environment

sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))
tidegate = pytest.importorskip("tidegate", reason="the client needs Python 3.11")

from tidegate import (Compression, ConsumerConfig, Fluvio, FluvioConfig, Offset, TopicProducerConfig,  # noqa: E402
                      partition_for_key)

pytestmark = pytest.mark.http1("that is what the libraries speak")

PARTITIONS = 4
# An empty key is no key to all of them.
RECORDS = [(None, b"no key"), (b"", b"empty key"), (b"\x00\xff\x80\n", b"a binary key"), (b"rafael", b""),
           ("ключ".encode(), bytes(range(256))), (b"user-123", b"\xfe\x00\t\r\n\\\""), (b"tab\tand newline\n", b"x" * 20_000),
           *((b"user-123", b"in order %d" % n) for n in range(300))]


class Python:
    """In this process."""

    def left_out(self):
        return None

    def produce(self, url, topic, compression, records):
        config = TopicProducerConfig(compression=Compression.parse(compression))
        with connect(url) as fluvio, fluvio.topic_producer_with_config(topic, config) as producer:
            producer.send_all(records)

    def consume(self, url, topic):
        bounded = ConsumerConfig().disable_continuous()
        with connect(url) as fluvio:
            stream = fluvio.multi_partition_consumer(topic).stream_with_config(Offset.beginning(), bounded)
            return [(r.partition(), r.offset(), r.key(), r.value()) for r in stream]


class Program:
    """`produce URL TOPIC COMPRESSION` reads lines of key and value, `consume URL TOPIC` writes lines of partition, offset,
    key and value: hexadecimal, with tabs between, "-" for no key."""

    def __init__(self, left_out, *command):
        self._left_out = left_out
        self._command = command

    def left_out(self):
        """Why it cannot run here; None when it can."""
        return self._left_out()

    def _run(self, *arguments, given=""):
        done = subprocess.run([*self._command, *arguments], input=given, text=True, capture_output=True, check=False,
                              env=environment(), timeout=60 * wait.SLOWNESS)
        if "install" in done.stderr:
            pytest.skip(done.stderr.strip().splitlines()[0])  # an optional package
        assert done.returncode == 0, done.stderr
        return done.stdout

    def produce(self, url, topic, compression, records):
        lines = [f"{'-' if key is None else key.hex()}\t{value.hex()}\n" for key, value in records]
        self._run("produce", url, topic, compression, given="".join(lines))

    def consume(self, url, topic):
        lines = [line.split("\t") for line in self._run("consume", url, topic).splitlines()]
        return [(int(partition), int(offset), None if key == "-" else bytes.fromhex(key), bytes.fromhex(value))
                for partition, offset, key, value in lines]


def connect(url):
    return Fluvio.connect_with_config(FluvioConfig.new(url))


C_PROGRAM = processes.BINARY.parent / "tg_relay"
TYPESCRIPT = ROOT / "clients" / "typescript"


def without_c():
    return None if C_PROGRAM.exists() else f"C is left out: {C_PROGRAM} is not built"


@functools.cache
def without_typescript():
    has_node = shutil.which("node") and re.match(r"v(\d+)", subprocess.check_output(["node", "--version"], text=True))
    if not has_node or int(has_node[1]) < 20:
        return "TypeScript is left out: it needs Node 20 or newer"
    if not (TYPESCRIPT / "dist").exists():
        return f"TypeScript is left out: {TYPESCRIPT} is not built (node scripts/build.mjs)"
    return None


# How the program of docs/clients.md runs, by the language of its block there.
PAGE = {"python": lambda program: [sys.executable, "-c", program],
        "c": lambda program: [C_PROGRAM.with_name("tg_example_quickstart")],
        "js": lambda program: ["node", "--input-type=module", "-e", program]}

LANGUAGES = {"python": Python(), "c": Program(without_c, C_PROGRAM),
             "typescript": Program(without_typescript, "node", TYPESCRIPT / "test" / "relay.mjs")}


def language(name):
    found = LANGUAGES[name]
    if why := found.left_out():
        pytest.skip(why)
    return found


@pytest.fixture(scope="module")
def produced(gateway):
    """produced(writer, compression): a topic with RECORDS, written once."""
    @functools.cache
    def produce(writer, compression):
        library, topic = language(writer), f"{writer}-{compression}"
        with gateway.client() as client:
            client.make(topic, PARTITIONS)
        library.produce(gateway.url, topic, compression, RECORDS)
        return topic
    return produce


@pytest.mark.parametrize("compression", [c.value for c in Compression])
@pytest.mark.parametrize("reader", LANGUAGES)
@pytest.mark.parametrize("writer", LANGUAGES)
def test_what_one_writes_the_other_reads(gateway, produced, writer, reader, compression):
    read = language(reader).consume(gateway.url, produced(writer, compression))
    assert sorted((key or b"", value) for _, _, key, value in read) == sorted((key or b"", value) for key, value in RECORDS)
    assert all(key is None for _, _, key, value in read if value in (b"no key", b"empty key"))
    for partition in range(PARTITIONS):
        mine = [r for r in read if r[0] == partition]
        assert [offset for _, offset, _, _ in mine] == list(range(len(mine)))
        wanted = [(key, value) for key, value in RECORDS if key and partition_for_key(key, PARTITIONS) == partition]
        assert [(key, value) for _, _, key, value in mine if key] == wanted


@pytest.mark.parametrize("block, name", [("python", "python"), ("c", "c"), ("js", "typescript")])
def test_the_program_of_the_page_does_the_same_in_every_language(gateway, client, block, name):
    language(name)
    page = (ROOT / "docs" / "clients.md").read_text()
    program = re.search(rf"^```{block}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]
    if block == "c":
        assert program == (ROOT / "clients" / "c" / "examples" / "quickstart.c").read_text()
    done = subprocess.run(PAGE[block](program), text=True, capture_output=True, check=False, timeout=60 * wait.SLOWNESS,
                          cwd=TYPESCRIPT if block == "js" else None,
                          env={**environment(), "TIDEGATE_URL": gateway.url, "PYTHONPATH": str(ROOT / "clients" / "python" / "src")})
    assert (done.stdout, done.returncode) == ("stored at 0\nuser-1 hello\n", 0), done.stderr
    assert client.request("DELETE", "/topics/quickstart").status_code == 200
