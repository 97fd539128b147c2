"""/healthz, /readyz, /metrics."""

import re

from harness import wait
from harness.client import ok, refused
from harness.live import Stream

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? (-?[0-9.eE+]+|\+Inf|NaN)')


def scrape(client):
    """{(name, labels): value}; fails on text that Prometheus would not read."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.text.endswith("\n")
    found, types = {}, {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} is declared twice"
            assert kind in ("counter", "gauge", "histogram")
            types[name] = kind
        elif line and not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            key = (match[1], match[2] or "")
            assert key not in found, f"{key} comes twice"
            found[key] = float(match[3])
            base = re.sub("_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or types.get(base) == "histogram", f"{match[1]} has no TYPE"
    return found


def total(samples, name, *having):
    return sum(value for (n, labels), value in samples.items() if n == name and all(h in labels for h in having))


def test_health_and_readiness_say_so_in_json(client):
    assert ok(client.get("/healthz"))["status"] == "ok"
    assert ok(client.get("/readyz"))["status"] == "ready"


def test_metrics_are_what_prometheus_reads_and_histograms_add_up(client, topic):
    for i in range(10):
        client.put(topic, [{"value": str(i)}])
    samples = scrape(client)
    histograms = {name.removesuffix("_bucket") for name, _ in samples if name.endswith("_bucket")}
    assert histograms
    for name in histograms:
        series = {}
        for (n, labels), value in samples.items():
            if n == name + "_bucket":
                bound = re.search(r'le="([^"]+)"', labels)[1]
                rest = re.sub(r',?le="[^"]+"', "", labels).replace("{}", "").replace("{,", "{")
                series.setdefault(rest, []).append((float(bound.replace("+Inf", "inf")), value))
        for rest, buckets in series.items():
            buckets.sort()
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), f"{name}{rest} is not cumulative"
            assert buckets[-1][0] == float("inf")
            assert buckets[-1][1] == samples[(name + "_count", rest)]


def test_requests_are_counted_by_route_and_status(client, topic):
    before = scrape(client)
    for _ in range(7):
        client.put(topic, [{"value": "v"}])
    for _ in range(3):
        refused(client.produce("absent", [{"value": "v"}]), 404, "topic_not_found")
    after = scrape(client)

    def grown(*having):
        return total(after, "tidegate_http_requests_total", *having) - total(before, "tidegate_http_requests_total", *having)
    assert grown('route="produce"') == 10
    assert grown('route="produce"', 'status="2') == 7
    assert grown('route="produce"', 'status="4') == 3
    latency = "tidegate_http_request_seconds_count"
    assert total(after, latency, 'route="produce"') - total(before, latency, 'route="produce"') == 10


def test_appends_show_their_batches_commits_and_queues(client, topic):
    before = scrape(client)
    client.put(topic, [{"value": "v"} for _ in range(50)])
    after = scrape(client)

    def grown(name):
        return total(after, name) - total(before, name)
    assert grown("tidegate_append_group_records_sum") == 50
    assert grown("tidegate_append_group_operations_sum") == 1
    assert grown("tidegate_append_commit_seconds_count") == 1
    assert 0 < grown("tidegate_append_commit_seconds_sum") < 60
    assert total(after, "tidegate_append_queue_bytes") == 0
    assert any(name == "tidegate_reader_queue_depth" for name, _ in after)


def test_live_readers_are_counted_while_they_live(client, topic):
    def streams():
        return total(scrape(client), "tidegate_http_streams")
    assert streams() == 0
    lives = [Stream(client, f"/topics/{topic}/stream?offset=earliest") for _ in range(3)]
    assert all(live.status == 200 for live in lives)
    wait.until(lambda: streams() == 3, "three streams are counted")
    for live in lives:
        live.close()
    wait.until(lambda: streams() == 0, "none is counted any more")


def test_notifications_and_the_janitor_are_measured(gateways, name):
    one, two = gateways(2, janitor_interval_ms=50)
    with one.client() as client, two.client() as other:
        client.make(name)
        with Stream(other, f"/topics/{name}/stream?offset=earliest") as live:
            client.put(name, [{"value": "v"}])
            live.take(1)
            wait.until(lambda: total(scrape(client), "tidegate_notify_seconds_count") > 0, "a NOTIFY was measured")

        def elected():
            return [total(scrape(c), "tidegate_janitor_elected") for c in (client, other)]
        # The module's own gateway may hold the office; there is never more than one.
        assert sum(elected()) <= 1
        if sum(elected()) == 1:
            office = (client, other)[elected().index(1)]
            wait.until(lambda: total(scrape(office), "tidegate_janitor_round_seconds_count") > 1, "rounds are measured")


def test_the_office_of_the_janitor_passes_on_when_its_holder_dies(fresh_database, fleet):
    workers = [fleet.start(fresh_database, janitor_interval_ms=50) for _ in range(3)]

    def holders():
        return [w for w in workers if w.is_running and metric(w, "tidegate_janitor_elected") == 1]

    def metric(worker, name):
        with worker.client() as client:
            return total(scrape(client), name)
    for left in (3, 2):
        [holder] = wait.until(lambda: len(h := holders()) == 1 and h, f"one of {left} is elected")
        holder.kill()
    wait.until(lambda: len(holders()) == 1, "the last one is elected")


def test_paths_and_names_do_not_blow_up_the_metrics(client):
    before = len(scrape(client))
    for i in range(300):
        client.get(f"/topics/unknown-{i}")
        client.get(f"/nothing-{i}")
        client.request("PUT", f"/odd/{i}")
    assert len(scrape(client)) - before < 60
