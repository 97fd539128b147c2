"""Two workers or more with a tenant, a key and a token, behind the proxy, through TLS: what docker-compose.yml runs."""

import ssl

import httpx

from harness import wait
from harness.client import Client
from harness.gateway import run
from harness.load import Load
from harness.proxy import Proxy, free_ports

SECRET = "a secret of forty bytes, or a few more.."


class Service:
    def __init__(self, database, fleet, directory, count):
        (directory / "jwt.secret").write_text(SECRET)
        settings = {"auth": "required", "jwt_keys": directory / "jwt.secret", "stream_heartbeat_ms": 1000}
        run("migrate", database=database)
        run("tenant", "create", "acme", database=database)
        self.key = run("key", "create", "--tenant", "acme", "--scopes", "all", database=database).stdout.strip()
        self.token = run("token", "create", "--tenant", "acme", "--scopes", "all", **settings).stdout.strip()
        self.workers = [fleet.new(database, **{**settings, "listen": f"127.0.0.1:{port}"}) for port in free_ports(count)]
        self.proxy = Proxy([worker.settings["listen"] for worker in self.workers])
        for worker in self.workers:
            worker.start()
        self.proxy.start()
        self.wait_up(count)

    @property
    def url(self):
        return self.proxy.url

    def connect(self, url=None, **options):
        return Client(url or self.url, key=self.key, verify=str(self.proxy.certificate), **options)

    def http2(self):
        return httpx.Client(http1=False, http2=True, verify=ssl.create_default_context(cafile=self.proxy.certificate),
                            trust_env=False, base_url=self.url, headers={"X-API-Key": self.key})

    def wait_up(self, count):
        wait.until(lambda: len(self.proxy.workers_up()) == count, f"{count} workers are up for the proxy", pause_s=0.05)

    def load(self, topic, partitions, **options):
        return Load([lambda: self.url], topic, partitions, producers=6, connect=self.connect, **options)
