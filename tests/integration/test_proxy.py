"""config/haproxy.cfg in front of two workers: what docker-compose.yml runs, without Docker.

Everything goes through TLS. While a worker dies or restarts the others go on; what it had under way ends in an error that may be
retried, and nothing that was acknowledged is lost or stored twice.
"""

import json
import ssl
import subprocess
import urllib.parse

import pytest
import websocket

from harness import wait
from harness.client import Client, ok, refused, values
from harness.live import SSE, Stream
from harness.proxy import CONFIG, HAPROXY

pytestmark = [pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: ./dev setup does it"),
              pytest.mark.http1("that is what the proxy speaks to the workers")]


@pytest.fixture
def client(service):
    with service.connect() as made:
        yield made


def counted(worker, key, route):
    """Successful requests of a route that this worker has answered."""
    with Client(worker.url, key=key) as direct:
        return sum(float(line.split()[-1]) for line in direct.get("/metrics").text.splitlines()
                   if line.startswith("tidegate_http_requests_total") and f'route="{route}"' in line and 'status="2' in line)


def test_the_configuration_is_valid_with_its_defaults(tmp_path):
    """As in the container: names of workers that cannot be resolved yet are no reason not to start."""
    subprocess.run([CONFIG.parent / "compose" / "certificate", tmp_path / "tls.pem"], check=True, capture_output=True)
    done = subprocess.run([HAPROXY, "-c", "-f", CONFIG], env={"PROXY_CERTIFICATE": str(tmp_path / "tls.pem")}, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line]
    assert all("could not resolve" in line for line in warnings), warnings


def test_keys_and_tokens_pass_through_over_both_versions_of_http(service, client, name):
    client.make(name)
    client.put(name, [{"value": "one"}])
    assert values(client.take(name, partition=0, offset=0)) == ["one"]
    with service.http2() as http2:
        answer = http2.post(f"/topics/{name}/produce", json={"messages": [{"value": "two"}]})
        assert answer.http_version == "HTTP/2" and answer.status_code == 200
        bearer = {"Authorization": f"Bearer {service.token}", "X-API-Key": ""}
        answer = http2.post(f"/topics/{name}/consume", json={"partition": 0, "offset": 0}, headers=bearer)
        assert answer.http_version == "HTTP/2" and values(answer.json()["messages"]) == ["one", "two"]
    with service.proxy.client() as anonymous:
        refused(anonymous.get("/topics"), 401, "unauthorized")
        ok(anonymous.get("/topics", headers={"Authorization": f"Bearer {service.token}"}))
        assert anonymous.get("/metrics").status_code == anonymous.get("/%6detrics").status_code == 404


def test_both_workers_get_requests(service, name):
    with service.connect() as client:
        client.make(name)
    for _ in range(20):
        with service.connect() as client:
            client.put(name, [{"value": "v"}])
    assert all(counted(worker, service.key, "produce") > 0 for worker in service.workers)


def test_events_arrive_live_whichever_worker_has_the_stream(service, client, name):
    client.make(name)
    streams = [Stream(client, f"/topics/{name}/stream?offset=earliest") for _ in range(4)]
    for number in range(5):
        client.put(name, [{"value": str(number)}])
        for stream in streams:  # each before the next one is sent: nothing is kept back
            assert values(stream.take(1)) == [str(number)]
    for stream in streams:
        wait.until(lambda s=stream: len(s.comments) >= 2, "heartbeats come through")
        stream.close()


def test_events_arrive_live_over_http2(service, client, name):
    client.make(name)
    with service.http2() as http2, http2.stream("GET", f"/topics/{name}/stream?offset=earliest",
                                                headers={"Accept": SSE}, timeout=wait.DEADLINE_S) as answer:
        assert answer.http_version == "HTTP/2" and answer.status_code == 200
        lines = answer.iter_lines()
        for number in range(3):
            client.put(name, [{"value": str(number)}])
            data = next(line for line in lines if line.startswith("data:") and '"value"' in line)
            assert json.loads(data[5:])["value"] == str(number)


def test_a_long_poll_is_answered_when_there_is_something(client, service, name):
    client.make(name)
    with service.http2() as http2:
        assert http2.post(f"/topics/{name}/consume", json={"partition": 0, "offset": 0, "wait_ms": 200}).json()["messages"] == []
    client.put(name, [{"value": "v"}])
    assert values(client.take(name, partition=0, offset=0, wait_ms=10_000)) == ["v"]


def test_a_websocket_passes_through(service, name):
    address = urllib.parse.urlsplit(service.url).netloc
    socket = websocket.create_connection(f"wss://{address}/v0/ws", timeout=wait.DEADLINE_S, header=[f"X-API-Key: {service.key}"],
                                         sslopt={"ca_certs": str(service.proxy.certificate)})
    socket.send(json.dumps({"op": "ping"}))
    assert json.loads(socket.recv())["op"] == "pong"
    socket.close()


def test_a_durable_stream_is_created_appended_to_and_read(service, client, name):
    path = f"/v1/stream/{name}"
    made = client.request("PUT", path, headers={"Content-Type": "text/plain"})
    assert made.status_code == 201
    assert client.post(path, data=b"hello", headers={"Content-Type": "text/plain"}).status_code in (200, 204)
    assert client.get(f"{path}?offset=-1").content == b"hello"


def only_what_was_under_way(load):
    """When a worker goes, the outcome of one request of each producer may be unknown; both workers went once."""
    refusals = load.refusals()
    assert set(refusals) <= {503, "ConnectionError"} and sum(refusals.values()) <= 2 * len(load.producers), refusals


@pytest.mark.slow
@pytest.mark.parametrize("retry_key", [True, False], ids=["idempotent", "plain"])
def test_a_killed_worker_loses_nothing_and_is_taken_back(service, client, name, retry_key):
    client.make(name, 3)
    with service.load(name, 3, retry_key=retry_key) as load:
        load.wait_acknowledged(300)
        for worker in service.workers:
            worker.kill()
            load.wait_acknowledged(300)  # the other one goes on
            worker.start()
            service.wait_up(2)
    load.check(client)
    only_what_was_under_way(load)


@pytest.mark.slow
@pytest.mark.parametrize("service", [2, 4], indirect=True)
def test_a_rolling_restart_loses_nothing(service, client, name):
    client.make(name, 3)
    with service.load(name, 3) as load:
        for worker in service.workers:
            load.wait_acknowledged(300)
            worker.stop()
            worker.start()
            service.wait_up(len(service.workers))
        load.wait_acknowledged(300)
    load.check(client)
    only_what_was_under_way(load)


@pytest.mark.slow
def test_reading_goes_on_without_an_error_while_workers_die(service, client, name):
    """A GET changes nothing, so the proxy sends it again: nobody sees that a worker went away."""
    client.make(name)
    for worker in service.workers:
        for _ in range(20):
            ok(client.get(f"/topics/{name}"))
        worker.kill()
        for _ in range(20):
            ok(client.get(f"/topics/{name}"))
        worker.start()
        service.wait_up(2)


def test_a_new_certificate_is_taken_without_a_pause(service, client, name):
    client.make(name)
    with Stream(client, f"/topics/{name}/stream?offset=earliest") as stream:
        client.put(name, [{"value": "before"}])
        assert values(stream.take(1)) == ["before"]
        old = service.proxy.certificate.read_text()
        service.proxy.renew_certificate()
        new = service.proxy.certificate.read_text()
        assert new != old
        address = ("localhost", service.proxy.port)
        wait.until(lambda: ssl.get_server_certificate(address).strip() in new, "the new certificate is shown")
        with service.connect() as later:
            later.put(name, [{"value": "after"}])
        assert values(stream.take(1)) == ["after"]  # the stream from before goes on


def test_without_any_worker_the_answer_says_when_to_come_again(service, client, name):
    for worker in service.workers:
        worker.stop()
    service.wait_up(0)
    refused(client.create(name), 503, "unavailable", "nothing was done")
    for worker in service.workers:
        worker.start()
    service.wait_up(2)
    client.make(name)


def test_nothing_secret_is_logged_by_the_proxy(service, client, name):
    client.make(name)
    with Stream(client, f"/topics/{name}/stream?token={urllib.parse.quote(service.key)}", headers={"X-API-Key": None}) as stream:
        assert stream.status == 200
    wait.until(lambda: f"GET /topics/{name}/stream" in service.proxy.log.read_text(), "the stream is logged")
    text = service.proxy.log.read_text()
    assert service.key not in text and service.key.split("_")[2] not in text and service.token not in text
