"""Secrets do not get out: not by logs, errors, metrics, the process list, nor what Postgres shows of its sessions."""

import json
import pathlib
import re

import jwt
import pytest

from harness import wait
from harness.client import Client, ok
from harness.gateway import run
from harness.live import Stream

PASSWORD = "pg-Password-4711"
SIGNING = "signing-secret-that-nobody-is-to-see-0815"
LISTED = "listed-secret-0123456789"


@pytest.fixture
def worker(fresh_database, fleet, certificate, tmp_path):
    """One that knows every kind of secret, and writes down all that it can."""
    (tmp_path / "jwt.secret").write_text(SIGNING)
    fresh_database.url += f" password={PASSWORD}"
    return fleet.start(fresh_database, log_level="debug", jwt_keys=tmp_path / "jwt.secret", api_keys=f"{LISTED}:read+write+admin",
                       tls_listen="127.0.0.1:0", **certificate.settings)


def test_what_a_worker_shows_holds_no_secret(worker, fresh_database, certificate, name):
    key = run("key", "create", "--scopes", "all", database=fresh_database).stdout.strip()
    token = jwt.encode({"tenant": "default", "scope": "all", "exp": 4_000_000_000}, SIGNING, "HS256")
    private = "".join(certificate.key_path.read_text().splitlines()[1:-1])
    shown = []
    for credential in (LISTED, key, token):
        headers = {"Authorization": f"Bearer {credential}"}
        with Client(worker.url, key=None) as client:
            client.post("/topics", json={"name": name}, headers=headers)
            ok(client.post(f"/topics/{name}/produce", json={"messages": [{"value": "v"}]}, headers=headers))
            with Stream(client, f"/topics/{name}/stream?token={credential}", headers={"X-API-Key": None}) as live:
                assert live.status == 200
            for path in ("/metrics", "/v0/metrics"):
                shown.append(ok_text(client.get(path, headers=headers)))
            wrong = {"Authorization": f"Bearer {credential[:-1]}"}
            for refusal in (client.get("/topics", headers=wrong), client.get("/v0/topics", headers=wrong),
                            client.get(f"/topics?token={credential}"), client.get("/v1/admin/stream", headers=wrong)):
                assert refusal.status_code == 401
                shown.append(refusal.text + str(refusal.headers))
    certificate.key_path.write_text("no key: " + private)
    wait.until(lambda: str(certificate.key_path) in worker.log_text(), "the broken key is reported")
    shown.append(pathlib.Path(f"/proc/{worker.process.pid}/cmdline").read_text())
    shown.append(json.dumps(fresh_database.psql("SELECT application_name, query FROM pg_stat_activity")))
    shown.append(run("config", "show", database=fresh_database, api_keys=LISTED).stdout)
    worker.stop()
    shown += [worker.log_text(), fresh_database.server.log.read_text(errors="replace")]
    for secret in (PASSWORD, SIGNING, LISTED, key, key.split("_")[2], token, token.split(".")[2], private[8:40]):
        for text in shown:
            assert secret[:-1] not in text, re.sub(r"\s+", " ", text)[:300]


def ok_text(response):
    assert response.status_code == 200, response.text
    return response.text


@pytest.mark.parametrize("url", ["postgresql://u:hush-hush@127.0.0.1:1/x", "postgresql://u:hush%zzhush@127.0.0.1/x",
                                 "host=127.0.0.1 password='hush-hush port=1", "host=127.0.0.1 password=a hush-hush",
                                 "postgresql://u:hush-hush@127.0.0.1:port/x"])
def test_a_database_url_with_a_mistake_is_not_shown(url):
    done = run("migrate", database_url=url, check=False)
    assert done.returncode != 0 and "hush" not in done.stderr + done.stdout


@pytest.mark.parametrize("settings", [{"api_keys": "hush-hush:nothing"}, {"api_keys": "a:read,hush-hush:+"},
                                      {"TOPICS_API_KEYS": "hush-hush:nothing"}])
def test_a_key_with_a_mistake_is_not_shown(fresh_database, settings):
    done = run("serve", "--listen", "127.0.0.1:0", database=fresh_database, check=False, **settings)
    assert done.returncode != 0 and "scope" in done.stderr and "hush" not in done.stderr + done.stdout


def test_a_signing_key_with_a_mistake_is_not_shown(fresh_database, tmp_path):
    (tmp_path / "short.secret").write_text("hush-hush")
    done = run("serve", "--listen", "127.0.0.1:0", database=fresh_database, check=False, jwt_keys=tmp_path / "short.secret")
    assert done.returncode != 0 and "short.secret" in done.stderr and "hush" not in done.stderr
