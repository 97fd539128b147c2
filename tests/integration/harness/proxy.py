"""config/haproxy.cfg in front of workers, as docker-compose.yml runs it."""

import contextlib
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile

from harness import wait
from harness.client import Client
from harness.gateway import ROOT

CONFIG = ROOT / "config" / "haproxy.cfg"
CERTIFICATE_SCRIPT = ROOT / "config" / "compose" / "certificate"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def free_ports(count):
    """Ports that nobody uses now, and that no outgoing connection is given: HAProxy is told where to listen, and workers come
    back to the same place."""
    sockets = []
    while len(sockets) < count:
        with contextlib.suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", random.randrange(10_000, 32_000))))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Proxy:
    def __init__(self, worker_addresses):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tgproxy"))
        self.log = self.home / "log"
        self.certificate = self.home / "tls.pem"
        subprocess.run([CERTIFICATE_SCRIPT, self.certificate], check=True, capture_output=True)
        self.port, self.operators_port = free_ports(2)
        self.url = f"https://localhost:{self.port}"
        self.environment = {"PROXY_LISTEN": f"127.0.0.1:{self.port}", "PROXY_CERTIFICATE": str(self.certificate),
                            "PROXY_MAX_CONNECTIONS": "1000", "PROXY_METRICS": f"127.0.0.1:{self.operators_port}",
                            **{f"WORKER_{i}": address for i, address in enumerate(worker_addresses, 1)}}
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([HAPROXY, "-W", "-db", "-f", CONFIG], env=self.environment, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait.until(self._answers, "HAProxy answers")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"HAProxy ended: {self.log.read_text()}")
        with self.client() as client:
            return client.is_ready()

    def finish(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(wait.DEADLINE_S)
        shutil.rmtree(self.home, ignore_errors=True)

    def client(self, **options):
        return Client(self.url, verify=str(self.certificate), **options)

    def workers_up(self):
        """Names of the workers that HAProxy would send requests to."""
        with Client(f"http://127.0.0.1:{self.operators_port}") as client:
            lines = client.get("/metrics").text.splitlines()
        return {line.split('server="')[1].split('"')[0] for line in lines
                if line.startswith("haproxy_server_status{") and 'state="UP"' in line and line.endswith(" 1")}
