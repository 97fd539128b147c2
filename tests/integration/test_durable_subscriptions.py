"""Subscriptions of the durable dialect (contract durable-streams.md, section 17)."""

import json
import threading
import time

import pytest

from harness import wait
from harness.client import Client
from harness.desk import ROOT, Desk, denied
from harness.durable import ZERO
from harness.gateway import Gateway, run
from harness.hook import Receiver, signature_is_valid

SETTINGS = {"webhook_allow_localhost": "true", "janitor_interval_ms": 50}


@pytest.fixture
def desk(client):
    return Desk(client)


@pytest.fixture
def receiver():
    with Receiver() as hook:
        yield hook


# ---- configuration ----

def test_creating_confirming_and_deleting(desk, name):
    first = desk.pull(name, streams=["/a/x/", "a/x", "b"], description="mine")
    assert first["id"] == first["subscription_id"] == name
    assert first["lease_ttl_ms"] == 30000 and first["status"] == "active" and first["wake_stream"] == "wakes"
    assert first["streams"] == [{"path": path, "link_type": "explicit", "acked_offset": ZERO} for path in ("a/x", "b")]
    same = desk.put(name, type="pull-wake", wake_stream="wakes", streams=["b", "a/x"], description="mine",
                    lease_ttl_ms=30000)
    assert same.status_code == 200 and same.json() == first == desk.get(name)
    denied(desk.put(name, type="pull-wake", wake_stream="wakes", streams=["b"]), 409, "SUBSCRIPTION_ALREADY_EXISTS")
    for _ in range(2):
        assert desk.client.request("DELETE", desk.url(name)).status_code == 204
    denied(desk.client.get(desk.url(name)), 404, "SUBSCRIPTION_NOT_FOUND")
    assert desk.put(name, type="pull-wake", wake_stream="wakes", streams=["b"]).status_code == 201


@pytest.mark.parametrize("body", [
    "", "[]", "7", "{", '{"type":"webhook"}', '{"type":"sse","streams":["a"]}', '{"type":"pull-wake","streams":["a"]}',
    '{"type":"pull-wake","wake_stream":"w"}', '{"type":"pull-wake","wake_stream":"w","streams":[]}',
    '{"type":"pull-wake","wake_stream":"w","streams":"a"}', '{"type":"pull-wake","wake_stream":"w","streams":[1]}',
    '{"type":"pull-wake","wake_stream":"w","streams":["a//b"]}', '{"type":"pull-wake","wake_stream":"w","streams":["w"]}',
    '{"type":"pull-wake","wake_stream":"w","streams":["__ds/x"]}', '{"type":"pull-wake","wake_stream":"w","pattern":""}',
    '{"type":"pull-wake","wake_stream":"w","pattern":"a/../b"}',
    '{"type":"pull-wake","wake_stream":"w","streams":["a"],"lease_ttl_ms":999}',
    '{"type":"pull-wake","wake_stream":"w","streams":["a"],"lease_ttl_ms":600001}',
    '{"type":"pull-wake","wake_stream":"w","streams":["a"],"lease_ttl_ms":1500.5}',
    '{"type":"pull-wake","wake_stream":"w","streams":["a"],"lease_ttl_ms":"1500"}',
    '{"type":"webhook","streams":["a"],"webhook":"http://127.0.0.1/"}',
])
def test_bad_configurations_change_nothing(desk, name, body):
    answer = desk.client.request("PUT", desk.url(name), data=body)
    denied(answer, 400, "INVALID_REQUEST")
    denied(desk.client.get(desk.url(name)), 404, "SUBSCRIPTION_NOT_FOUND")


@pytest.mark.parametrize("url", [
    "http://example.com/hook", "http://10.0.0.1/hook", "https://10.0.0.1/", "https://172.16.5.4/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data", "https://0.0.0.0/", "https://0/", "https://100.64.0.1/", "https://[::1]/",
    "https://[fe80::1]/", "https://[fd00::1]/", "https://[::ffff:10.0.0.1]/", "https://[::]/", "https://[64:ff9b::a00:1]/",
    "https://0x0a000001/", "https://167772161/", "https://10.1/", "https://metadata.google.internal/", "https://intranet/",
    "https://printer.local/", "https://user:secret@example.com/", "ftp://example.com/", "file:///etc/passwd", "example.com",
    "https://exa mple.com/", "https://", "gopher://127.0.0.1/", "",
])
def test_webhooks_into_the_private_network_are_refused(desk, name, url):
    answer = desk.put(name, type="webhook", streams=["a"], webhook={"url": url})
    denied(answer, 400, "WEBHOOK_URL_REJECTED")


def test_localhost_needs_the_switch(fresh_database, fleet, receiver):
    with fleet.start(fresh_database).client() as client:
        desk = Desk(client)
        for url in (receiver.url, "https://localhost/", "https://127.0.0.1/"):
            denied(desk.put("s", type="webhook", streams=["a"], webhook={"url": url}), 400, "WEBHOOK_URL_REJECTED")


def test_what_a_name_leads_to_is_judged_at_delivery(fresh_database, fleet, receiver):
    """A subscription from before the switch went off: its deliveries are refused, and tried again."""
    worker = fleet.start(fresh_database, **SETTINGS)
    with worker.client() as client:
        Desk(client).webhook("s", receiver.url, pattern="**")
    worker.stop()
    worker = fleet.start(fresh_database, janitor_interval_ms=50)
    with worker.client() as client:
        desk = Desk(client)
        desk.put_stream("x", '{"n":1}')
        wait.until(lambda: desk.get("s")["status"] == "failed", "a delivery has failed")
    assert receiver.calls == []


def test_control_space_is_no_stream(client):
    for method in ("GET", "PUT", "POST", "DELETE"):
        for path in ("__ds", "__ds/", "__ds/x", "__ds/subscriptions", "%5f%5fds/x", "__ds/subscriptions/a/b"):
            answer = client.request(method, ROOT + path)
            assert answer.status_code == 404, (method, path, answer.text)
    assert client.request("PUT", ROOT + "__dsx").status_code == 201


# ---- links ----

def test_globs_and_explicit_links(desk, name):
    old = desk.put_stream(f"{name}/old", '{"n":1}')
    desk.put_stream(f"{name}/a/b")
    desk.put_stream(f"{name}x")
    desk.pull(name, pattern=f"{name}/*", streams=[f"{name}/later"])
    desk.put_stream(f"{name}/new", '{"n":1}')
    desk.put_stream(f"{name}/later")
    desk.put_stream(f"{name}/deep/new", '{"n":1}')
    links = {link["path"]: (link["link_type"], link["acked_offset"]) for link in desk.get(name)["streams"]}
    assert links == {f"{name}/old": ("glob", old), f"{name}/new": ("glob", "-1"), f"{name}/later": ("explicit", ZERO)}

    add = desk.client.post(desk.url(name, "/streams"), json={"streams": [f"/{name}/old", f"{name}/deep/new"]})
    assert add.status_code == 204
    types = {link["path"]: link["link_type"] for link in desk.get(name)["streams"]}
    assert types[f"{name}/old"] == types[f"{name}/deep/new"] == "explicit"
    for path in (f"{name}/old", f"{name}%2Fdeep%2Fnew", f"{name}/never"):
        assert desk.client.request("DELETE", desk.url(name, "/streams/" + path)).status_code == 204
    types = {link["path"]: link["link_type"] for link in desk.get(name)["streams"]}
    assert types[f"{name}/old"] == "glob" and f"{name}/deep/new" not in types

    assert desk.client.request("DELETE", f"{ROOT}{name}/new").status_code == 204
    assert f"{name}/new" not in desk.acked(name)
    for body in ({}, {"streams": []}, {"streams": [1]}, {"streams": [""]}):
        denied(desk.client.post(desk.url(name, "/streams"), json=body), 400, "INVALID_REQUEST")
    denied(desk.client.post(desk.url(name + "no", "/streams"), json={"streams": ["a"]}), 404, "SUBSCRIPTION_NOT_FOUND")


@pytest.mark.parametrize(("pattern", "yes", "no"), [
    ("*", ["a", "a.b"], ["a/b"]),
    ("**", ["a", "a/b/c"], []),
    ("a/**", ["a", "a/b", "a/b/c"], ["ab", "b/a"]),
    ("**/z", ["z", "a/z", "a/b/z"], ["za", "z/a"]),
    ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/z/b"]),
    ("a/*/z", ["a/b/z"], ["a/z", "a/b/c/z"]),
    ("a.c/x*", ["a.c/x*"], ["abc/x*", "a.c/xy"]),
    ("a(b|c)+/[d]", ["a(b|c)+/[d]"], ["ab/d"]),
])
def test_patterns(fresh_database, fleet, pattern, yes, no):
    """Streams from before and after the subscription are matched alike."""
    with fleet.start(fresh_database).client() as client:
        desk = Desk(client)
        half = (len(yes) + 1) // 2
        for path in yes[:half] + no:
            desk.put_stream(path)
        desk.pull("s", pattern=pattern, wake_stream="wake/stream/elsewhere")
        for path in yes[half:] + [path + "2" if path[-1:].isalnum() and pattern[-1] == "z" else path for path in no]:
            desk.put_stream(path)
        assert sorted(desk.acked("s")) == sorted(yes)


def test_topics_of_other_dialects_are_linked_and_wake(desk, receiver, name):
    desk.webhook(name, receiver.url, pattern=name)
    desk.client.make(name)
    assert desk.acked(name) == {name: "-1"}
    desk.client.put(name, [{"value": "hello"}])
    assert receiver.wait().streams[name]["has_pending"]


# ---- webhooks ----

def test_a_webhook_is_signed_and_describes_the_wake(desk, receiver, name):
    made_ = desk.webhook(name, receiver.url, pattern=f"{name}/**")
    base = desk.client.url
    assert made_["webhook"]["signing"]["jwks_url"] == f"{base}{ROOT}__ds/jwks.json"
    quiet = desk.put_stream(f"{name}/quiet")
    tail = desk.put_stream(f"{name}/loud", "[1,2,3]")
    call = receiver.wait()
    jwks = desk.client.get(ROOT + "__ds/jwks.json")
    assert jwks.headers["Content-Type"] == "application/jwk-set+json"
    assert jwks.headers["Cache-Control"] == "public, max-age=300"
    assert made_["webhook"]["signing"]["kid"] in [key["kid"] for key in jwks.json()["keys"]]
    assert signature_is_valid(call, jwks.json())
    call.raw += b" "
    assert not signature_is_valid(call, jwks.json())
    assert call.headers["Content-Type"] == "application/json"
    assert call.body["subscription_id"] == name and call.body["generation"] == 1
    assert call.body["wake_id"].startswith("w_")
    assert call.body["callback_url"] == f"{base}{ROOT}__ds/subscriptions/{name}/callback"
    assert call.streams == {
        f"{name}/loud": {"path": f"{name}/loud", "link_type": "glob", "acked_offset": "-1", "tail_offset": tail,
                         "has_pending": True},
        f"{name}/quiet": {"path": f"{name}/quiet", "link_type": "glob", "acked_offset": "-1", "tail_offset": quiet,
                          "has_pending": False}}


def test_done_in_the_answer_acknowledges_the_snapshot_only(desk, name):
    """What arrives while the webhook works is the next wake's."""
    appended = threading.Event()

    def answer(call):
        if call.body["generation"] == 1:
            appended.wait(wait.DEADLINE_S)
        return 200, {"done": True}
    with Receiver(answer) as receiver:
        desk.webhook(name, receiver.url, streams=[name])
        first = desk.put_stream(name, "[1]")
        receiver.wait(1)
        second = desk.append(name, "[2]")
        appended.set()
        again = receiver.wait(2)
        assert again.streams[name]["acked_offset"] == first and again.streams[name]["tail_offset"] == second
        assert again.body["generation"] == 2 and again.body["wake_id"] != receiver.calls[0].body["wake_id"]
        wait.until(lambda: desk.acked(name)[name] == second, "all is acknowledged")
        wait.holds_for(lambda: len(receiver.calls) == 2, "two deliveries", 0.3)


def test_callbacks_heartbeat_acknowledge_and_finish(desk, receiver, name):
    desk.webhook(name, receiver.url, streams=[name])
    first = desk.put_stream(name, "[1]")
    wake = receiver.wait().body
    assert desk.report(name, wake, "callback").json() == {"ok": True, "next_wake": False}
    second = desk.append(name, "[2]")
    answer = desk.report(name, wake, "callback", acks=[{"path": name, "offset": first}])
    assert answer.json() == {"ok": True, "next_wake": False}
    assert desk.acked(name) == {name: first}
    answer = desk.report(name, wake, "callback", done=True)
    assert answer.json() == {"ok": True, "next_wake": True}
    following = receiver.wait(2).body
    assert following["generation"] == 2
    denied(desk.report(name, wake, "callback", done=True), 409, "FENCED")
    denied(desk.report(name, {**following, "wake_id": wake["wake_id"]}, "callback"), 409, "FENCED")
    denied(desk.report(name, {**following, "generation": 1}, "callback"), 409, "FENCED")
    acks = [{"stream": name, "offset": second}]
    assert desk.report(name, following, "callback", acks=acks, done=True).json() == {"ok": True, "next_wake": False}


def test_offsets_are_all_judged_before_any_counts(desk, receiver, name):
    other = name + "-other"
    desk.webhook(name, receiver.url, streams=[name, other])
    tail = desk.put_stream(name, "[1,2]")
    desk.put_stream(other, "[1]")
    wake = wait.until(lambda: receiver.calls and receiver.calls[-1].body, "a delivery")
    beyond = "7" + "f" * 15 + "_" + "0" * 16
    for bad in ("-1", "now", "", "xyz", tail.upper() + "0", beyond, "0" * 33):
        acks = [{"stream": name, "offset": tail}, {"stream": other, "offset": bad}]
        denied(desk.report(name, wake, "callback", acks=acks), 409, "INVALID_OFFSET")
    denied(desk.report(name, wake, "callback", acks=[{"stream": "no/such", "offset": tail}]), 409, "INVALID_OFFSET")
    assert desk.acked(name) == {name: ZERO, other: ZERO}
    assert desk.report(name, wake, "callback", acks=[{"stream": f"/{name}", "offset": tail}]).status_code == 200
    denied(desk.report(name, wake, "callback", acks=[{"stream": name, "offset": ZERO}]), 409, "INVALID_OFFSET")
    for body in ({"acks": [1]}, {"acks": [{"stream": name}]}, {"acks": {}}, {"done": "yes"}, {"wake_id": 7}):
        denied(desk.report(name, wake, "callback", **body), 400, "INVALID_REQUEST")
    assert desk.acked(name)[name] == tail


@pytest.mark.parametrize("refusal", [(500, {}), (404, {}), (302, {}, ("Location", "http://127.0.0.1:1/")), None],
                         ids=["500", "404", "redirect", "no answer"])
def test_a_failed_delivery_is_repeated(desk, name, refusal):
    """The same wake again, after a while; a redirect is not followed."""
    def answer(call):
        return refusal if len(receiver.calls) == 1 else (200, {"done": True})
    with Receiver(answer) as receiver:
        desk.webhook(name, receiver.url, streams=[name], lease_ttl_ms=1000)
        tail = desk.put_stream(name, "[1]")
        receiver.wait(1)
        wait.until(lambda: desk.get(name)["status"] == "failed" or len(receiver.calls) > 1, "the retry is planned")
        again = receiver.wait(2)
        assert again.body["wake_id"] == receiver.calls[0].body["wake_id"] and again.body["generation"] == 1
        wait.until(lambda: desk.acked(name)[name] == tail, "the wake is done")
        assert desk.get(name)["status"] == "active"


def test_a_planned_retry_survives_a_restart(fresh_database, fleet):
    is_refusing = True

    def answer(call):
        return (503, {}) if is_refusing else (200, {"done": True})
    with Receiver(answer) as receiver:
        worker = fleet.start(fresh_database, **SETTINGS)
        with worker.client() as client:
            desk = Desk(client)
            desk.webhook("s", receiver.url, streams=["a"], lease_ttl_ms=1000)
            tail = desk.put_stream("a", "[1]")
            receiver.wait(2)
            wait.until(lambda: desk.get("s")["status"] == "failed", "the second retry is planned")
        worker.stop()
        is_refusing = False
        seen = len(receiver.calls)
        [[due]] = fresh_database.psql("SELECT tell_ms FROM tidegate.subscription")
        worker.start()
        with worker.client() as client:
            receiver.wait(seen + 1)
            [[now]] = fresh_database.psql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            assert int(now) >= int(due)
            wait.until(lambda: Desk(client).acked("s")["a"] == tail, "the wake is done")


def test_a_lease_that_runs_out_makes_a_new_wake(desk, receiver, name):
    desk.webhook(name, receiver.url, streams=[name], lease_ttl_ms=1000)
    desk.put_stream(name, "[1]")
    first, second = receiver.wait(1).body, receiver.wait(2).body
    assert (first["generation"], second["generation"]) == (1, 2) and first["wake_id"] != second["wake_id"]
    denied(desk.report(name, first, "callback", done=True), 409, "FENCED")


# ---- tokens ----

def test_leases_and_retries_wait_for_no_janitor(fresh_database, fleet):
    def answer(call):
        return (500, {}) if len(refusing.calls) == 1 else (200, {"done": True})
    worker = fleet.start(fresh_database, webhook_allow_localhost="true", janitor_interval_ms=3600000)
    with worker.client() as client, Receiver() as silent, Receiver(answer) as refusing:
        desk = Desk(client)
        desk.webhook("refused", refusing.url, streams=["a"])
        desk.webhook("forgotten", silent.url, streams=["a"], lease_ttl_ms=1000)
        desk.put_stream("wakes", "[]")
        desk.pull("left", streams=["a"], lease_ttl_ms=1000)
        desk.put_stream("a", "[1]")
        desk.report("left", desk.take("left"))
        assert refusing.wait(2).body["generation"] == 1
        assert silent.wait(2).body["generation"] == 2
        wait.until(lambda: 2 in [event["generation"] for event in desk.read("wakes")], "the claim's lease has run out")


def test_tokens_are_for_one_subscription(desk, name, database):
    for subscription in (name, name + "-2"):
        desk.pull(subscription, streams=[name])
    desk.put_stream(name, "[1]")
    one, two = desk.take(name), desk.take(name + "-2")
    changed = one["token"][:-2] + ("A" if one["token"][-2] != "A" else "B") + one["token"][-1]
    for token in (two["token"], changed, "x", one["token"].replace("tgt_", "tgt_x"), one["token"] + ".x"):
        denied(desk.report(name, one, token=token), 401, "TOKEN_INVALID")
    body = {"wake_id": one["wake_id"], "generation": one["generation"]}
    denied(desk.client.post(desk.url(name, "/ack"), json=body), 401, "TOKEN_INVALID")
    denied(desk.report(name, one, "callback"), 400, "INVALID_REQUEST")
    # Deleted and made anew under the same name: the old token stays dead.
    assert desk.client.request("DELETE", desk.url(name)).status_code == 204
    denied(desk.report(name, one), 404, "SUBSCRIPTION_NOT_FOUND")
    desk.pull(name, streams=[name])
    desk.append(name, "[2]")
    assert desk.take(name)["generation"] == one["generation"]
    denied(desk.report(name, one), 401, "TOKEN_INVALID")


def test_tokens_and_leases_outlive_a_restart(fresh_database, fleet):
    worker = fleet.start(fresh_database, **SETTINGS)
    with worker.client() as client:
        desk = Desk(client)
        desk.pull("s", streams=["a"])
        tail = desk.put_stream("a", "[1]")
        wake = desk.take("s")
    worker.kill()
    worker.start()
    with worker.client() as client:
        desk = Desk(client)
        denied(desk.claim("s", "w2"), 409, "ALREADY_CLAIMED")
        done = desk.report("s", wake, acks=[{"stream": "a", "offset": tail}], done=True)
        assert done.json() == {"ok": True, "next_wake": False}


# ---- pull-wake ----

def test_pull_wake_from_event_to_release(desk, name):
    wakes = name + "-wakes"
    desk.put_stream(wakes, "[]")
    desk.pull(name, wakes, pattern=f"{name}/*")
    denied(desk.claim(name), 409, "NO_PENDING_WORK")
    tail = desk.put_stream(f"{name}/a", "[1]")
    [event] = wait.until(lambda: desk.read(wakes), "a wake event")
    assert event["ts"] > 1_700_000_000_000
    assert event == {"type": "wake", "subscription_id": name, "stream": f"{name}/a", "generation": 1, "ts": event["ts"]}
    wake = desk.take(name, "worker-1")
    assert wake["generation"] == 1 and wake["lease_ttl_ms"] == 30000
    assert wake["streams"] == [{"path": f"{name}/a", "link_type": "glob", "acked_offset": "-1", "tail_offset": tail,
                                "has_pending": True}]
    error = denied(desk.claim(name, "worker-2"), 409, "ALREADY_CLAIMED")
    assert error["current_holder"] == "worker-1" and error["generation"] == 1
    assert desk.report(name, wake, "release").status_code == 204
    assert desk.acked(name) == {f"{name}/a": "-1"}
    wait.until(lambda: [event["generation"] for event in desk.read(wakes)] == [1, 2], "released work is told again")
    denied(desk.report(name, wake, "release"), 409, "FENCED")
    wake = desk.take(name, "worker-2")
    done = desk.report(name, wake, acks=[{"stream": f"{name}/a", "offset": tail}], done=True)
    assert done.json() == {"ok": True, "next_wake": False}
    for body in ({}, {"worker": ""}, {"worker": 7}, []):
        denied(desk.client.post(desk.url(name, "/claim"), json=body), 400, "INVALID_REQUEST")


def test_an_expired_claim_is_fenced_and_told_again(desk, name):
    wakes = name + "-wakes"
    desk.put_stream(wakes, "[]")
    desk.pull(name, wakes, streams=[name], lease_ttl_ms=1000)
    desk.put_stream(name, "[1]")
    wake = desk.take(name)
    wait.until(lambda: desk.read(wakes) and desk.read(wakes)[-1]["generation"] == 2, "the lease has run out")
    denied(desk.report(name, wake, done=True), 409, "FENCED")
    assert desk.take(name, "w2")["generation"] == 2


def test_a_heartbeat_keeps_the_lease(desk, name):
    lease_s = 2.0 * wait.SLOWNESS
    desk.pull(name, streams=[name], lease_ttl_ms=int(lease_s * 1000))
    desk.put_stream(name, "[1]")
    wake = desk.take(name)
    begun = renewed = time.monotonic()
    while time.monotonic() < begun + 1.5 * lease_s:
        time.sleep(lease_s / 10)
        asked = time.monotonic()  # it is renewed no sooner
        answer = desk.report(name, wake)
        if time.monotonic() - renewed > lease_s:
            pytest.skip("this machine stood still for longer than the lease")
        assert answer.status_code == 200
        renewed = asked
    answer = desk.claim(name, "w2")
    if time.monotonic() - renewed > lease_s:
        pytest.skip("this machine stood still for longer than the lease")
    denied(answer, 409, "ALREADY_CLAIMED")


def test_without_a_wake_stream_a_claim_still_works(desk, name):
    desk.pull(name, name + "-no-such-stream", streams=[name])
    desk.put_stream(name, "[1]")
    assert desk.take(name)["streams"][0]["has_pending"]


def test_only_pull_wake_is_claimed(desk, receiver, name):
    desk.webhook(name, receiver.url, streams=[name])
    denied(desk.claim(name), 400, "INVALID_REQUEST")
    denied(desk.claim(name + "-no"), 404, "SUBSCRIPTION_NOT_FOUND")


@pytest.mark.tsan
def test_one_claim_of_many_wins(desk, gateways, name):
    """Two workers, many claimers, all at once, again and again: one holder at a time, generations never repeat."""
    clients = [worker.client() for worker in gateways(2) for _ in range(4)]
    desk.pull(name, streams=[name])
    seen = []
    for turn in range(10):
        desk.put_stream(name) if turn == 0 else None
        tail = desk.append(name, "[1]")
        answers = [None] * len(clients)

        def claim(i):
            answers[i] = Desk(clients[i]).claim(name, f"w{i}")
        threads = [threading.Thread(target=claim, args=(i,)) for i in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [winner] = [answer for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer is not winner:
                denied(answer, 409, "ALREADY_CLAIMED")
        wake = winner.json()
        seen.append(wake["generation"])
        done = desk.report(name, wake, acks=[{"stream": name, "offset": tail}], done=True)
        assert done.json() == {"ok": True, "next_wake": False}
    assert seen == sorted(set(seen))
    for client in clients:
        client.close()


# ---- several workers, and their death ----

@pytest.mark.tsan
def test_many_appends_through_two_workers_are_all_seen(fresh_database, fleet):
    """Every message is covered by exactly one acknowledged wake, whoever appended and whoever delivered."""
    workers = [fleet.start(fresh_database, **SETTINGS) for _ in range(2)]
    clients = [worker.client() for worker in workers]
    desks = [Desk(client) for client in clients]
    with Receiver(lambda call: (200, {"done": True})) as receiver:
        desks[0].webhook("s", receiver.url, pattern="s/*")
        tails = {}
        for i in range(40):
            path = f"s/{i % 4}"
            desk = desks[i % 2]
            tails[path] = desk.put_stream(path, "[1]") if i < 4 else desk.append(path, "[1]")
        wait.until(lambda: desks[1].acked("s") == tails, "everything is acknowledged")
        reached = {}
        for call in receiver.calls:
            for path, stream in call.streams.items():
                if stream["has_pending"]:
                    assert stream["acked_offset"] == reached.get(path, "-1"), "a wake begins where the last one ended"
                    reached[path] = stream["tail_offset"]
        assert reached == tails
        generations = [call.body["generation"] for call in receiver.calls]
        assert generations == list(range(1, len(generations) + 1)), "no wake was delivered twice"
    for client in clients:
        client.close()


def test_a_worker_killed_in_the_middle_of_a_delivery(fresh_database, fleet):
    """The wake outlives its worker: another one delivers it again."""
    hold = threading.Event()

    def answer(call):
        if len(receiver.calls) == 1:
            hold.wait(wait.DEADLINE_S)
            return None
        return 200, {"done": True}
    settings = {**SETTINGS, "webhook_timeout_ms": 500}
    with Receiver(answer) as receiver:
        first = fleet.start(fresh_database, **settings)
        with first.client() as client:
            Desk(client).webhook("s", receiver.url, streams=["a"], lease_ttl_ms=1000)
            tail = Desk(client).put_stream("a", "[1]")
        receiver.wait(1)
        first.kill()
        hold.set()
        second = fleet.start(fresh_database, **settings)
        with second.client() as client:
            again = receiver.wait(2)
            assert again.body["wake_id"] == receiver.calls[0].body["wake_id"]
            wait.until(lambda: Desk(client).acked("s")["a"] == tail, "the wake is done")


@pytest.mark.slow
def test_killed_workers_leave_nothing_unprocessed(fresh_database, fleet):
    """Two workers under load, killed in turn: in the end every message is acknowledged, and no cursor ever went back."""
    settings = {**SETTINGS, "webhook_timeout_ms": 1000}
    workers = [fleet.start(fresh_database, **settings) for _ in range(2)]
    tails, reached = {}, {}
    lock = threading.Lock()

    def answer(call):
        with lock:
            for path, stream in call.streams.items():
                assert stream["acked_offset"] >= reached.get(path, "-1") or stream["acked_offset"] == "-1"
                reached[path] = max(reached.get(path, "-1"), stream["acked_offset"])
        return 200, {"done": True}

    with Receiver(answer) as receiver:
        with workers[0].client() as client:
            Desk(client).webhook("s", receiver.url, pattern="s/*", lease_ttl_ms=1000)
        for turn in range(6):
            with workers[0].client() as one, workers[1].client() as two:
                for i in range(24):
                    path = f"s/{turn}-{i % 6}"
                    desk = Desk([one, two][i % 2])
                    tails[path] = desk.put_stream(path, "[1]") if i < 6 else desk.append(path, "[1]")
            workers[turn % 2].kill()
            workers[turn % 2].start()
        with workers[0].client() as client:
            wait.until(lambda: Desk(client).acked("s") == tails, "everything is acknowledged")
            assert Desk(client).get("s")["status"] == "active"


def test_a_worker_killed_between_append_and_wake(fresh_database, fleet):
    """An append whose hint died with its worker is found by the janitor of another one."""
    with Receiver(lambda call: (200, {"done": True})) as receiver:
        first = fleet.start(fresh_database, **SETTINGS)
        with first.client() as client:
            Desk(client).webhook("s", receiver.url, streams=["a"])
            Desk(client).put_stream("a")
        first.kill()
        # As such an append leaves it: the records are there, and nobody was told.
        fresh_database.psql("UPDATE tidegate.subscription_link SET acked_offset = -1; "
                            "UPDATE tidegate.head SET next_offset = 3, next_byte = 3")
        fleet.start(fresh_database, **SETTINGS)
        assert receiver.wait().streams["a"]["tail_offset"].startswith("0000000000000003_")


def test_a_stop_gives_deliveries_back(fresh_database, fleet):
    """A worker that is told to stop does not wait for a slow webhook; the wake is told again at once by the next."""
    hold = threading.Event()

    def answer(call):
        if len(receiver.calls) == 1:
            hold.wait(wait.DEADLINE_S)
            return None
        return 200, {"done": True}
    with Receiver(answer) as receiver:
        first = fleet.start(fresh_database, **SETTINGS, webhook_timeout_ms=60000)
        with first.client() as client:
            Desk(client).webhook("s", receiver.url, streams=["a"])
            Desk(client).put_stream("a", "[1]")
        receiver.wait(1)
        first.stop()
        fleet.start(fresh_database, **SETTINGS)
        receiver.wait(2)
        hold.set()


# ---- what is bounded ----

def test_an_endless_answer_is_cut(desk, name):
    with Receiver(lambda call: (200, b" " * (1 << 20) + b'{"done":true}')) as receiver:
        desk.webhook(name, receiver.url, streams=[name])
        desk.put_stream(name, "[1]")
        receiver.wait()
        wait.until(lambda: desk.get(name)["status"] == "failed", "the delivery counts as failed")
        assert desk.acked(name) == {name: ZERO}


@pytest.mark.slow
def test_many_streams_come_in_several_wakes(desk, name):
    """More pending streams than one wake holds: none is left out."""
    with Receiver(lambda call: (200, {"done": True})) as receiver:
        desk.webhook(name, receiver.url, pattern=f"{name}/*")
        tails = {f"{name}/{i}": desk.put_stream(f"{name}/{i}", "[1]") for i in range(1100)}
        wait.until(lambda: desk.acked(name) == tails, "everything is acknowledged", pause_s=0.2)
        assert all(len(call.streams) <= 1000 for call in receiver.calls)


# ---- who may ----

@pytest.fixture(scope="module")
def guarded(pg):
    """A gateway that asks for keys, with one for everything and one for names that begin with `mine/`."""
    made_ = pg.create_database("guarded_subscriptions")
    run("migrate", database=made_)
    everything = run("key", "create", "--scopes", "read,write,delete,admin", database=made_).stdout.strip()
    mine = run("key", "create", "--scopes", "read,write,delete", "--prefix", "mine/", database=made_).stdout.strip()
    other = run("tenant", "create", "other", database=made_)
    assert other.returncode == 0
    theirs = run("key", "create", "--tenant", "other", "--scopes", "read,write,delete", database=made_).stdout.strip()
    process = Gateway(made_, **SETTINGS)
    try:
        process.start()
        yield process, everything, mine, theirs
    finally:
        process.finish()
        made_.drop()


def test_keys_prefixes_and_tenants(guarded):
    process, everything, mine, theirs = guarded
    with Client(process.url) as nobody, Client(process.url, key=everything) as all_, Client(process.url, key=mine) as some, \
            Client(process.url, key=theirs) as other:
        for method, rest in (("PUT", ""), ("GET", ""), ("DELETE", ""), ("POST", "/streams"), ("POST", "/claim")):
            denied(nobody.request(method, Desk(nobody).url("s", rest)), 401, "UNAUTHORIZED")
        assert nobody.get(ROOT + "__ds/jwks.json").status_code == 200
        denied(nobody.post(Desk(nobody).url("s", "/ack"), json={}), 401, "TOKEN_INVALID")

        wide = {"type": "pull-wake", "wake_stream": "wakes"}
        narrow = {"type": "pull-wake", "wake_stream": "mine/wakes"}
        for body in ({**wide, "pattern": "mine/*"}, {**narrow, "pattern": "**"}, {**narrow, "pattern": "m*/x"},
                     {**narrow, "streams": ["mine/a", "theirs/b"]}):
            denied(Desk(some).put("s", **body), 403, "FORBIDDEN")
        assert Desk(some).put("narrow", **narrow, pattern="mine/*", streams=["mine/a"]).status_code == 201
        assert Desk(all_).put("wide", **wide, pattern="**").status_code == 201
        denied(some.get(Desk(some).url("wide")), 403, "FORBIDDEN")
        denied(Desk(some).claim("wide"), 403, "FORBIDDEN")
        denied(some.request("DELETE", Desk(some).url("wide")), 403, "FORBIDDEN")
        denied(some.post(Desk(some).url("narrow", "/streams"), json={"streams": ["theirs/b"]}), 403, "FORBIDDEN")

        # Another tenant sees none of it, and its streams link to none of it.
        denied(other.get(Desk(other).url("wide")), 404, "SUBSCRIPTION_NOT_FOUND")
        assert Desk(other).put("wide", **wide, pattern="**").status_code == 201
        Desk(other).put_stream("secret", "[1]")
        assert "secret" not in Desk(all_).acked("wide")
        assert Desk(other).acked("wide") == {"secret": "-1"}
        # The wake's token is all that a report needs.
        Desk(all_).put_stream("mine/a", "[1]")
        wake = Desk(some).take("narrow")
        body = {"wake_id": wake["wake_id"], "generation": wake["generation"]}
        answer = nobody.post(Desk(nobody).url("narrow", "/ack"), json=body,
                             headers={"Authorization": f"Bearer {wake['token']}"})
        assert answer.json() == {"ok": True, "next_wake": False}


def test_signing_keys_are_replaced_by_a_command(fresh_database, fleet):
    worker = fleet.start(fresh_database, **SETTINGS)
    with worker.client() as client:
        [old] = client.get(ROOT + "__ds/jwks.json").json()["keys"]
    assert set(old) == {"kty", "crv", "x", "kid", "use", "sig", "alg"} - {"sig"}
    assert old["kid"].startswith("ds_") and old["use"] == "sig" and old["alg"] == "EdDSA"
    worker.stop()
    refused = run("key", "rotate-signing", "--overlap", "2d", database=fresh_database, check=False)
    assert refused.returncode != 0 and "24h" in refused.stderr
    run("key", "rotate-signing", database=fresh_database)
    worker.start()
    with worker.client() as client:
        keys = client.get(ROOT + "__ds/jwks.json").json()["keys"]
        assert len(keys) == 2 and old in keys
        with Receiver() as receiver:
            Desk(client).webhook("s", receiver.url, streams=["a"])
            Desk(client).put_stream("a", "[1]")
            call = receiver.wait()
            assert signature_is_valid(call, {"keys": [key for key in keys if key != old]})
        [note] = client.get("/v1/tidegate/audit").json()["acts"]
    # Nothing secret is told.
    assert "secret" not in json.dumps(keys)
    assert (note["act"], note["tenant"], note["detail"]["overlap_ms"]) == ("signing.rotate", "default", 86_400_000)
    worker.stop()
    run("key", "rotate-signing", "--overlap", "0", database=fresh_database)
    worker.start()
    with worker.client() as client:
        [fresh] = client.get(ROOT + "__ds/jwks.json").json()["keys"]
    assert fresh not in keys
