"""The C client library on the wire: the checks of section 16 of the clients contract that need a server of their own, a bad
network, or a proxy. Driven through tg_probe, like test_client_c.py."""

import itertools
import re
import shutil
import subprocess
import time

import pytest
from test_client_c import (CONNECTION, END, INVALID, OK, OUT_OF_RANGE, PROBE, finish, probe, records, start, status,
                           stored)

from harness import gateway as processes
from harness import packets, wait
from harness.cutting_proxy import Proxy
from harness.gateway import ROOT, environment
from harness.proxy import HAPROXY
from harness.recorder import Recorder

pytestmark = [pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} does not exist: build the target tg_probe"),
              pytest.mark.http1("that is what this library speaks")]
HOUR_MS = 3_600_000
needs_proxy = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: ./dev setup does it")


# ---- batches ----

def varint_bytes(value):
    zigzag = value << 1 ^ value >> 63
    return max(1, -(-zigzag.bit_length() // 7))


def size_in(batch, record):
    """Section 3.3: what the record adds to a batch that holds `batch`."""
    delta = record["timestamp"] - batch[0]["timestamp"] if batch else 0
    key = record["key"]
    body = 1 + varint_bytes(delta) + varint_bytes(len(batch)) + 1
    body += varint_bytes(len(key)) + len(key) if key is not None else 0
    body += varint_bytes(len(record["value"])) + len(record["value"]) + 1
    return varint_bytes(body) + body


def size_of(batch):
    return 61 + sum(size_in(batch[:i], record) for i, record in enumerate(batch))


@pytest.mark.parametrize(("batch_size", "count"), [(100, 40), (333, 300), (1000, 1000), (16384, 5000)])
def test_batches_end_where_the_formula_says(batch_size, count):
    with Recorder("boundaries", 1) as server:
        told = stored(probe("produce", server.url, "boundaries", count, batch_size=batch_size, linger_ms=HOUR_MS))
        batches = [batch for _, batch in server.batches]
        headers = [headers for headers, _ in server.batches]
    assert [r["value"].decode() for batch in batches for r in batch] == [f"v-{i}" for i in range(count)] == list(told)
    for batch, following in itertools.pairwise(batches):
        size = size_of(batch)
        assert size <= batch_size < size + size_in(batch, following[0])
    assert [int(h["Producer-Seq"]) for h in headers] == list(range(len(batches)))
    assert len({(h["Producer-Id"], h["Producer-Epoch"]) for h in headers}) == 1
    assert {(h["Content-Type"], h["Prefer"]) for h in headers} == {(packets.TYPE, "return=minimal")}


def test_a_record_larger_than_a_batch_goes_alone():
    with Recorder("alone", 1) as server:
        stored(probe("produce", server.url, "alone", 5, batch_size=30, linger_ms=HOUR_MS))
        assert [len(batch) for _, batch in server.batches] == [1] * 5


def test_a_lone_record_waits_for_linger_and_a_flush_does_not(gateway, client, topic4):
    began = time.monotonic()
    probe("keyed", gateway.url, topic4, "a", "b", "c", "d", linger_ms=250)
    assert time.monotonic() - began >= 4 * 0.25
    told = stored(probe("produce", gateway.url, topic4, 3, linger_ms=HOUR_MS))  # ends, though nothing is due for an hour
    assert len(told) == 3


# ---- a bad network ----

def test_cut_at_every_byte_of_a_request_and_its_answer_a_batch_is_stored_once(gateway, client, topic):
    with Proxy(gateway.host, gateway.port) as proxy:
        process = start("produce", proxy.url, topic, 1, wait=1, fast_retry=1)
        assert process.stdout.readline() == "ready\n"
        proxy.cut_after = itertools.count(1)
        proxy.cut_all()
        process.stdin.write("go\n")
        process.stdin.flush()
        told = stored(finish(process))
    assert proxy.cuts > 500  # a request and its answer are longer than that
    assert told == {"v-0": (0, 0)} and client.ends(topic) == [1]


# ---- starts ----

FIRST, END_OFFSET, SAVED = 15, 20, 17
STARTS = [("beginning", 0, FIRST, SAVED), ("beginning", 2, FIRST + 2, SAVED + 2), ("beginning", 99, END_OFFSET, END_OFFSET),
          ("end", 0, END_OFFSET, SAVED), ("end", 2, END_OFFSET - 2, FIRST), ("end", 99, FIRST, FIRST),
          ("absolute", 18, 18, 18), ("absolute", END_OFFSET, END_OFFSET, END_OFFSET), ("absolute", 2, FIRST, FIRST),
          ("timestamp", 1, FIRST, FIRST), ("timestamp", 4_000_000_000_000, END_OFFSET, END_OFFSET)]


@pytest.fixture
def evicted(client, name):
    """A topic whose first records retention has taken, with a position of the consumer "c"."""
    client.make(name, 1, config={"cap_records": END_OFFSET - FIRST})
    for i in range(END_OFFSET):
        client.put(name, [{"value": str(i)}])
    wait.until(lambda: client.info(name)["partition_info"][0]["start_offset"] == FIRST, "retention did its work")
    client.commit(name, "c", {0: SAVED})
    return name


def test_the_table_of_offsets_holds_after_retention(gateway, evicted):
    for kind, value, plain, named in STARTS:
        for first, options in ((plain, {}), (named, {"id": "c"})):
            lines = probe("consume", gateway.url, evicted, 100, bounded=1, start=kind, value=value, **options)
            assert [m[1] for m in records(lines)] == list(range(first, END_OFFSET)), (kind, value, options)
            assert status(lines, "next") == END
    for start_at in (END_OFFSET + 1, -1):
        lines = probe("consume", gateway.url, evicted, 1, code=1, bounded=1, start="absolute", value=start_at)
        assert status(lines, "open") == (OUT_OF_RANGE if start_at > 0 else INVALID)


# ---- positions ----

def test_positions_are_set_read_and_forgotten(gateway, client, name):
    client.make(name, 2)
    client.put(name, [{"value": str(i), "partition": 1} for i in range(10)])
    told = {line.split(" ")[0]: line.split(" ")[1] for line in probe("position", gateway.url, name)
            if not line.startswith("position ")}
    missing = told["none"]
    assert int(missing) < 0
    assert told == {"none": missing, "set": "7", "back": "7", "forced": "3", "before": "-1", "get": "3", "forget": "0",
                    "forgotten": missing, "other": "0", "bad": str(INVALID)}
    assert client.committed(name, "c") == {0: 0}


# ---- two gateways behind a proxy ----

def secured(service, *words, ca=True):
    variables = {**environment(), "TIDEGATE_API_KEY": service.key}
    if ca:
        variables["TIDEGATE_CA_FILE"] = str(service.proxy.certificate)
    return subprocess.Popen([str(word) for word in (PROBE, *words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=variables)


@needs_proxy
@pytest.mark.slow
def test_a_rolling_restart_loses_nothing_and_doubles_nothing(service, name):
    count = 6000
    with service.connect() as client:
        client.make(name, 3)
        reader = secured(service, "consume", service.url, name, count)
        assert reader.stdout.readline() == "open\n"
        writer = secured(service, "produce", service.url, name, count, "batch_size=400", "fast_retry=20", "pace_us=1000")
        for worker in service.workers:
            before = sum(client.ends(name))  # all of them, if the first restart took longer than the writer
            wait.until(lambda wanted=min(before + 200, count): sum(client.ends(name)) >= wanted, "records come in")
            worker.stop()
            worker.start()
            service.wait_up(2)
        told = stored(finish(writer))
        seen = [(m[4].strip('"'), m[:2]) for m in records(finish(reader))]
    assert len(told) == count == len(seen)
    assert dict(seen) == told


@needs_proxy
def test_a_certificate_that_nobody_vouches_for_is_refused(service, name):
    lines = finish(secured(service, "produce", service.url, name, 1, ca=False), code=1)
    assert lines[0].startswith(f"connect {CONNECTION} 0 ") and "certificate" in lines[0]


# ---- what is installed ----

def test_the_library_exports_what_its_header_declares():
    library = processes.BINARY.parent / "clients" / "c" / "libtidegate.so"
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in symbols.splitlines() if " T " in line}
    header = (ROOT / "clients/c/include/tidegate.h").read_text()
    declared = set(re.findall(r"^TG_API [^;]*?\b(tg_\w+)\(", header, re.MULTILINE))
    assert {name.split("@")[0] for name in exported} == declared
    assert all("@@TIDEGATE_0" in name for name in exported)


def test_the_program_of_the_readme_builds_with_pkg_config_and_runs(gateway, client, tmp_path):
    if shutil.which("pkg-config") is None or shutil.which("cc") is None or wait.SLOWNESS > 1:
        pytest.skip("needs pkg-config and cc, and a library without a sanitizer")
    build = processes.BINARY.parent
    subprocess.run(["cmake", "--install", build, "--component", "client", "--prefix", tmp_path], check=True, capture_output=True)
    program = re.search(r"```c\n(.*?)```", (ROOT / "clients/c/README.md").read_text(), re.DOTALL)[1]
    (tmp_path / "orders.c").write_text(program)
    [directory] = [path.parent for path in tmp_path.rglob("libtidegate.pc")]
    variables = {**environment(), "PKG_CONFIG_PATH": str(directory), "PATH": "/usr/bin:/bin"}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libtidegate"], env=variables, capture_output=True,
                           text=True, check=True).stdout.split()
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "orders", tmp_path / "orders.c", *flags],
                   check=True, env=variables)
    client.create("orders")
    done = subprocess.run([tmp_path / "orders"], capture_output=True, text=True, check=False,
                          env={**variables, "TIDEGATE_URL": gateway.url, "LD_LIBRARY_PATH": str(directory.parent)})
    assert done.returncode == 0, done.stderr
    assert [m["value"] for p in range(len(client.ends("orders"))) for m in client.read_all("orders", p)][-1] == "hello"


def test_the_man_page_agrees_with_the_header(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("needs cc")
    page = (ROOT / "clients/c/man/libtidegate.3").read_text()
    declared = re.findall(r'^\.Ft (.*)\n\.Fn (\w+) "(.*)"$', page, re.MULTILINE)
    assert len(declared) == page.count("\n.Ft ") > 0
    prototypes = [f"{kind} {function}({', '.join(parameters.split(chr(34) + ' ' + chr(34)))});"
                  for kind, function, parameters in declared]
    example = re.search(r"\n\.Bd [^\n]*\n(.*?)\n\.Ed", page, re.DOTALL)[1]
    (tmp_path / "page.c").write_text("\n".join([
        "#include <tidegate.h>", "#include <err.h>", "#include <stdio.h>", *prototypes, "int main(void) {", example,
        "return 0; }"]))
    subprocess.run(["cc", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "clients/c/include",
                    tmp_path / "page.c"], check=True)
