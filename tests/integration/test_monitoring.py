"""config/prometheus and config/grafana ask for metrics and labels that exist."""

import json
import re

import pytest
import yaml

from harness.client import Client
from harness.gateway import ROOT
from harness.proxy import HAPROXY, Proxy

SETTINGS = {"tls_listen": "127.0.0.1:0"}  # for its metrics

CONFIG = ROOT / "config"
NAME = re.compile(r"\b((?:tidegate|haproxy)_[a-z0-9_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")


def alert_expressions():
    groups = yaml.safe_load((CONFIG / "prometheus" / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def panel_expressions():
    panels = json.loads((CONFIG / "grafana" / "tidegate.json").read_text())["panels"]
    return {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel.get("targets", ())}


def series(text):
    """{name: [{label: value}, …]} of what a server shows."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.rpartition(" ")[0].partition("{")
            found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', rest)))
    return found


def explain(expressions, shown, prefix):
    """What the expressions ask for in vain."""
    wrong = []
    for place, expression in expressions.items():
        for name, selectors in NAME.findall(expression):
            if not name.startswith(prefix):
                continue
            if name not in shown:
                wrong.append(f"{place}: {name}")
                continue
            for label, operator, value in LABEL.findall(selectors):
                if label in ("instance", "job"):
                    continue
                wanted = value.split("|") if operator in ("=", "=~") and "*" not in value else []
                values = {labels.get(label) for labels in shown[name]}
                if values == {None} or not set(wanted) <= values:
                    wrong.append(f"{place}: {name} has no {label}={value}: {sorted(map(str, values))}")
        by = re.findall(r"by \(([^)]*)\) \((?:rate\()?((?:tidegate|haproxy)_\w+)", expression)
        for labels, name in by:
            for label in set(labels.replace(" ", "").split(",")) - {"instance", "le"}:
                if name.startswith(prefix) and not any(label in one for one in shown.get(name, ())):
                    wrong.append(f"{place}: {name} has no label {label}")
    return wrong


@pytest.mark.parametrize("expressions", [alert_expressions, panel_expressions])
def test_what_is_asked_of_workers_exists(client, topic, expressions):
    client.put(topic, [{"value": "v"}])
    shown = series(client.get("/metrics").text)
    assert "tidegate_http_connections" in shown
    assert not explain(expressions(), shown, "tidegate_")


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: ./dev setup does it")
@pytest.mark.parametrize("expressions", [alert_expressions, panel_expressions])
def test_what_is_asked_of_the_proxy_exists(gateway, expressions):
    proxy = Proxy([gateway.addresses[0]] * 2)
    try:
        proxy.start()
        with Client(f"http://127.0.0.1:{proxy.operators_port}") as client:
            assert not explain(expressions(), series(client.get("/metrics").text), "haproxy_")
    finally:
        proxy.finish()


def test_every_metric_of_a_worker_that_tells_of_trouble_has_an_alert(client):
    shown = set(series(client.get("/metrics").text))
    watched = {name for expression in alert_expressions().values() for name, _ in NAME.findall(expression)}
    troubles = {name for name in shown if re.search("_(failures|refused|throttled|stalls)_total$", name)}
    assert troubles - watched <= {"tidegate_http_refused_total", "tidegate_metrics_refused_total"}
