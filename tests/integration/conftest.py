"""Fixtures. See README.md for what each is for."""

import itertools
import os
import re

import pytest

from harness import gateway as processes
from harness import wait
from harness.client import HTTP_VERSION, Client
from harness.gateway import Gateway
from harness.postgres import Postgres
from harness.service import Service
from harness.tls import Certificate

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    """Without a binary nothing can run: say so once, instead of failing every test with a traceback."""
    if items and not processes.BINARY.exists():
        pytest.exit(f"{processes.BINARY} does not exist: build it, or name another in TIDEGATE_BINARY", returncode=3)
    if HTTP_VERSION == "2":
        for item in items:
            if only := item.get_closest_marker("http1"):
                item.add_marker(pytest.mark.skip(reason=f"not over HTTP/2: {only.args[0]}"))


# ---- logs of a failed test ----

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for process in processes.started:
            text = process.log_text()[process.shown_from:]
            lines = text.splitlines()
            report.sections.append((f"log of {process.name} since the test began ({process.log})",
                                    "\n".join(lines[-80:]) or "(nothing)"))
    return report


@pytest.fixture(autouse=True)
def _log_mark():
    """Remembers where each log stands when a test begins."""
    for process in processes.started:
        process.shown_from = len(process.log_text())


@pytest.fixture(autouse=True)
def _no_alarms():
    """A sanitizer's report fails the test during which it appeared."""
    yield
    for process in processes.started:
        process.check_log()


# ---- Postgres ----

@pytest.fixture(scope="session")
def pg():
    """The scratch Postgres of this session. Do not stop it: `own_pg` is for that."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_pg():
    """A Postgres for this test alone: stop, kill or freeze it."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _database_name(stem):
    return re.sub(r"[^a-z0-9]+", "_", stem.lower())[:40] + f"_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="module")
def database(pg, request):
    """An empty database for this module."""
    made = pg.create_database(_database_name(request.module.__name__))
    yield made
    made.drop()


@pytest.fixture
def fresh_database(pg, request):
    """An empty database for this test."""
    made = pg.create_database(_database_name(request.function.__name__))
    yield made
    made.drop()


# ---- gateways ----

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate and its key, in files."""
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def gateway(database, request):
    """`tidegate serve` on the module's database, with the module's SETTINGS (a dict of TIDEGATE_* without the prefix);
    with `tls_listen` among them it has the module's certificate."""
    settings = getattr(request.module, "SETTINGS", {})
    if "tls_listen" in settings:
        settings = {**request.getfixturevalue("certificate").settings, **settings}
    process = Gateway(database, **settings)
    try:
        process.start()
        yield process
    finally:
        process.finish()


class _Fleet:
    """Starts gateways and ends them in reverse order."""

    def __init__(self):
        self.all = []

    def new(self, database, **settings):
        """One that is not started yet."""
        self.all.append(Gateway(database, name=f"gateway-{len(self.all) + 1}", **settings))
        return self.all[-1]

    def start(self, database, **settings):
        return self.new(database, **settings).start()

    def finish(self):
        failures = []
        for process in reversed(self.all):
            try:
                process.finish()
            except AssertionError as error:
                failures.append(str(error))
        assert not failures, "\n".join(failures)


@pytest.fixture
def fleet():
    """fleet.start(database, **settings) starts a worker; all are stopped at the end, and must end well."""
    made = _Fleet()
    try:
        yield made
    finally:
        made.finish()


@pytest.fixture
def gateways(fleet, database, request):
    """gateways(n, **settings): several workers on the module's database."""
    def start(count, **settings):
        merged = {**getattr(request.module, "SETTINGS", {}), **settings}
        return [fleet.start(database, **merged) for _ in range(count)]
    return start


@pytest.fixture
def service(fresh_database, fleet, tmp_path, request):
    """Two workers, or as many as an indirect parameter says, behind HAProxy."""
    made = Service(fresh_database, fleet, tmp_path, getattr(request, "param", 2))
    yield made
    made.proxy.finish()


# ---- clients and names ----

@pytest.fixture
def client(gateway):
    with Client(gateway.url) as made:
        yield made


@pytest.fixture
def name(request):
    """A name that nobody else uses, for topics and groups."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60].strip("-")
    return f"{stem}-{next(_numbers)}"


@pytest.fixture
def topic(client, name):
    """A new topic with one partition."""
    return client.make(name)


@pytest.fixture
def topic4(client, name):
    """A new topic with four partitions."""
    return client.make(name + "-4p", 4)


@pytest.fixture
def slowness():
    return wait.SLOWNESS
