"""Compressed bodies, both ways (streaming contract, section 3; clients contract, section 5)."""

import gzip
import json
import zlib

import cramjam
import lz4.frame
import pytest
import zstandard

from harness.client import ok, refused, values
from harness.codecs import CODECS

SETTINGS = {"max_body_bytes": 4 << 20}


def send(client, topic, body, coding, type_="application/json", **headers):
    return client.post(f"/topics/{topic}/produce", data=body,
                       headers={"Content-Type": type_, "Content-Encoding": coding, **headers})


def request_body(count=1000):
    return json.dumps({"messages": [{"key": f"k{i}", "value": f"value number {i} " * 5} for i in range(count)]}).encode()


@pytest.mark.parametrize("coding", CODECS)
def test_a_compressed_body_is_read_as_if_it_were_plain(client, topic, coding):
    body = request_body()
    packed = CODECS[coding](body)
    assert len(packed) < len(body) / 3
    answer = ok(send(client, topic, packed, coding))
    assert [r["offset"] for r in answer["results"]] == list(range(1000))
    assert values(client.read_all(topic)) == [f"value number {i} " * 5 for i in range(1000)]


@pytest.mark.parametrize("coding", CODECS)
def test_a_compressed_body_may_come_in_chunks(client, topic, coding):
    packed = CODECS[coding](request_body())
    pieces = (packed[at:at + 97] for at in range(0, len(packed), 97))  # a generator: chunked
    ok(send(client, topic, pieces, coding))
    assert client.ends(topic) == [1000]


@pytest.mark.parametrize("coding", CODECS)
def test_compressed_ndjson_works_too(client, topic, coding):
    ok(send(client, topic, CODECS[coding](b'{"value":"a"}\n{"value":"b"}\n'), coding, type_="application/x-ndjson"))
    assert values(client.read_all(topic)) == ["a", "b"]


@pytest.mark.parametrize("coding", ["GZIP", "x-gzip", "Zstd", "identity"])
def test_names_of_codings_have_no_case_and_identity_is_none(client, topic, coding):
    body = b'{"messages":[{"value":"v"}]}'
    packed = {"GZIP": gzip.compress, "x-gzip": gzip.compress, "Zstd": CODECS["zstd"], "identity": bytes}[coding](body)
    ok(send(client, topic, packed, coding))
    assert client.ends(topic) == [1]


def test_several_frames_or_members_in_a_row_are_one_body(client, topic):
    first, second = b'{"messages":[{"value":"a"},', b'{"value":"b"}]}'
    for number, coding in enumerate(("gzip", "zstd", "lz4"), 1):
        ok(send(client, topic, CODECS[coding](first) + CODECS[coding](second), coding))
        assert client.ends(topic) == [2 * number]


def test_frames_that_do_not_tell_their_size_are_read(client, topic):
    body = request_body(10)
    ok(send(client, topic, zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(body), "zstd"))
    ok(send(client, topic, lz4.frame.compress(body, content_checksum=True, store_size=False, block_linked=False), "lz4"))
    assert client.ends(topic) == [20]


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, zstd", "nonsense", "x" * 200])
def test_a_coding_we_do_not_read_is_415_and_the_answer_lists_those_we_do(client, topic, coding):
    answer = send(client, topic, zlib.compress(request_body(1)), coding)
    refused(answer, 415, "unsupported_media_type")
    offered = {each.strip() for each in answer.headers["Accept-Encoding"].split(",")}
    assert {"gzip", "zstd", "lz4", "snappy"} <= offered
    assert client.ends(topic) == [0]


@pytest.mark.parametrize("coding", CODECS)
def test_a_body_that_is_not_compressed_as_it_says_is_refused(client, topic, coding):
    refused(send(client, topic, request_body(1), coding), 400, "invalid_request")
    assert client.ends(topic) == [0]


@pytest.mark.parametrize("coding", CODECS)
def test_a_truncated_compressed_body_is_refused(client, topic, coding):
    packed = CODECS[coding](request_body(1000))
    for keep in (1, 5, len(packed) // 2, len(packed) - 1):
        refused(send(client, topic, packed[:keep], coding), 400, "invalid_request")
    assert client.ends(topic) == [0]


@pytest.mark.parametrize("coding", CODECS)
def test_a_damaged_compressed_body_is_refused(client, topic, coding):
    pack = {"zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
            "lz4": lambda data: lz4.frame.compress(data, content_checksum=True)}.get(coding, CODECS[coding])
    packed = bytearray(pack(request_body(1000)))
    for at in range(len(packed) // 4, len(packed), len(packed) // 4 + 1):
        damaged = bytearray(packed)
        damaged[at] ^= 0x55
        refused(send(client, topic, bytes(damaged), coding), 400, "invalid_request")
    assert client.ends(topic) == [0]


@pytest.mark.parametrize("coding", CODECS)
def test_bytes_after_the_end_of_a_compressed_body_are_refused(client, topic, coding):
    refused(send(client, topic, CODECS[coding](b'{"messages":[{"value":"v"}]}') + b"trailing", coding), 400, "invalid_request")
    assert client.ends(topic) == [0]


@pytest.mark.parametrize("coding", CODECS)
def test_a_decompression_bomb_is_413_and_costs_no_memory(gateway, client, topic, coding):
    # 64 MiB of blanks after an opening that would parse: sixteen times what this gateway takes.
    bomb = CODECS[coding](b'{"messages":[{"value":"v"}]' + b" " * (64 << 20) + b"}")
    assert len(bomb) < 4 << 20
    with gateway.grows_at_most(48 << 20):
        for _ in range(4):
            refused(send(client, topic, bomb, coding), 413, "payload_too_large")
    assert client.ends(topic) == [0]
    assert client.put(topic, [{"value": "still here"}]) == [(0, 0)]


def test_a_bomb_made_of_frames_that_promise_little_is_413_too(client, topic):
    frame = CODECS["zstd"](b" " * (1 << 20))
    refused(send(client, topic, frame * 64, "zstd"), 413, "payload_too_large")
    frame = bytes(cramjam.snappy.compress(b" " * (1 << 20)))
    refused(send(client, topic, frame * 64, "snappy"), 413, "payload_too_large")


def test_an_empty_compressed_body_is_an_empty_body(client, topic):
    for coding, pack in CODECS.items():
        refused(send(client, topic, pack(b""), coding), 400, "invalid_request")
    assert client.ends(topic) == [0]


# ---- answers ----

def test_answers_are_gzipped_for_those_who_ask(client, topic):
    client.put(topic, [{"value": "text " * 20} for _ in range(200)])
    path = f"/topics/{topic}/consume"
    plain = client.post(path, json={"offset": 0, "max_messages": 200}, headers={"Accept-Encoding": "identity"})
    packed = client.post(path, json={"offset": 0, "max_messages": 200}, headers={"Accept-Encoding": "gzip"}, stream=True)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    raw = packed.raw.read(decode_content=False)
    assert len(raw) < len(plain.content) / 2
    assert gzip.decompress(raw) == plain.content
    assert "accept-encoding" in packed.headers.get("Vary", "").lower()


@pytest.mark.parametrize("accept", [None, "br", "gzip;q=0", "identity"])
def test_answers_are_plain_for_those_who_do_not_ask_for_gzip(client, topic, accept):
    client.put(topic, [{"value": "text " * 20} for _ in range(200)])
    answer = client.post(f"/topics/{topic}/consume", json={"offset": 0, "max_messages": 200},
                         headers={"Accept-Encoding": accept}, stream=True)
    assert "Content-Encoding" not in answer.headers
    assert len(json.loads(answer.raw.read(decode_content=False))["messages"]) == 200
