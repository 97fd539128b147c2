"""docker-compose.yml and what its containers run, as far as that goes without Docker. The proxy has a test of its own."""

import os
import re
import subprocess

import pytest
import yaml

from harness.client import Client, ok
from harness.gateway import BINARY, ROOT, environment, run

SCRIPTS = ROOT / "config" / "compose"


@pytest.fixture
def path(tmp_path):
    """A PATH with the program under test as `tidegate`, as in its image."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tidegate").symlink_to(BINARY)
    return f"{tmp_path / 'bin'}:/usr/bin:/bin"


@pytest.fixture
def secrets(tmp_path):
    """Runs the service `secrets` on a directory, and reads what it made."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    directory = tmp_path / "secrets"
    directory.mkdir()

    def make(check=True, **given):
        done = subprocess.run([SCRIPTS / "secrets", directory], env={"PATH": os.environ["PATH"], **given}, check=False, text=True,
                              capture_output=True)
        assert (done.returncode == 0) == check, done.stderr
        return {file.name: file.read_text().rstrip("\n") for file in directory.iterdir()}
    make.directory = directory
    return make


def test_secrets_are_made_once_and_belong_to_who_reads_them(secrets):
    first = secrets()
    assert set(first) == {"postgres-password", "pgpass", "jwt.secret"}
    assert len(first["jwt.secret"]) >= 32 and first["pgpass"] == f"*:*:*:*:{first['postgres-password']}"
    assert first["jwt.secret"] != first["postgres-password"]
    assert secrets() == first
    assert secrets.directory.stat().st_mode & 0o777 == 0o711
    users = {"postgres-password": 999, "pgpass": 10001, "jwt.secret": 10001}
    for name, user in users.items():
        state = (secrets.directory / name).stat()
        assert (state.st_uid, state.st_mode & 0o777) == (user, 0o400), name


def test_secrets_from_the_environment_win(secrets):
    first = secrets()
    given = secrets(POSTGRES_PASSWORD=r"a:b\c d", JWT_SECRET="x" * 40)
    assert given == {"postgres-password": r"a:b\c d", "pgpass": r"*:*:*:*:a\:b\\c d", "jwt.secret": "x" * 40}
    assert secrets() == given != first
    assert secrets(check=False, JWT_SECRET="short") == given


def test_the_set_up_prints_a_key_and_a_token_that_work_and_does_it_once(fresh_database, fleet, tmp_path, path):
    (tmp_path / "jwt.secret").write_text("s" * 44)
    settings = {"jwt_keys": tmp_path / "jwt.secret", "auth": "required"}
    run("migrate", database=fresh_database)
    worker = fleet.start(fresh_database, migrate_on_start="false", **settings)

    def set_up():
        done = subprocess.run([SCRIPTS / "setup"], env={**environment(database_url=fresh_database.url, **settings), "PATH": path,
                                                        "TENANT": "acme"}, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    first, second = set_up(), set_up()
    [key] = set(re.findall(r"\btg_\w+", first))
    assert "tg_" not in second and len(run("key", "list", database=fresh_database).stdout.splitlines()) == 2
    with Client(worker.url) as client:
        ok(client.get("/topics", headers={"X-API-Key": key}))
        for text in (first, second):
            [token] = set(re.findall(r"\bey[\w.-]+", text))
            ok(client.get("/topics", headers={"Authorization": f"Bearer {token}"}))


def test_a_certificate_is_made_once(tmp_path):
    file = tmp_path / "tls.pem"
    for _ in range(2):
        subprocess.run([SCRIPTS / "certificate", file, "streams.example.com"], check=True, capture_output=True)
        text = file.read_text()
        shown = subprocess.run(["openssl", "x509", "-in", file, "-noout", "-ext", "subjectAltName"], check=True, text=True,
                               capture_output=True).stdout
        assert "DNS:streams.example.com" in shown and "DNS:localhost" in shown and "PRIVATE KEY" in text
        assert file.read_text() == text and file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in (tmp_path / "certificate.pem").read_text()
    assert {f.name for f in tmp_path.iterdir()} == {"tls.pem", "certificate.pem"}


def test_a_worker_logs_json_and_stops_well_with_nothing_but_its_environment(fresh_database, fleet):
    """As the image runs it: no file, no option; `serve` and TIDEGATE_…."""
    worker = fleet.start(fresh_database, log_format="json", auth="required")
    worker.stop()
    lines = worker.log_text().splitlines()
    assert lines and all(line.startswith("{") and line.endswith("}") for line in lines), lines


def image_of(stage, text):
    return re.search(rf"^FROM \$\{{DEBIAN\}} AS {stage}\n(.*?)(?=^FROM |\Z)", text, re.M | re.S)[1]


def test_the_compose_file_fits_together():
    """Names that are used are declared, scripts are in the images, versions are pinned, no secret is written down."""
    text = (ROOT / "docker-compose.yml").read_text()
    docker = (ROOT / "Dockerfile").read_text()
    compose = yaml.safe_load(text)
    services = compose["services"]
    assert {"postgres", "migrate", "setup", "worker-1", "worker-2", "proxy"} <= set(services)
    for name, service in services.items():
        assert re.search(r":\d+\.\d+", service["image"]), f"{name}: {service['image']}"
        assert all(other in services for other in service.get("depends_on", ())), name
        assert all(network in compose["networks"] for network in service.get("networks", ())), name
        assert all(volume.split(":")[0] in compose["volumes"] for volume in service.get("volumes", ())), name
        if "build" in service:
            stage = image_of(service["build"]["target"], docker)
            for word in [*(service.get("entrypoint") or ()), *(service.get("command") or ())]:
                if word.startswith("/usr/local/lib/tidegate/"):
                    assert f"config/compose/{word.rsplit('/', 1)[1]}" in stage, f"{name}: {word}"
            assert re.search(r"^USER 1000[12]:", stage, re.M) and "HEALTHCHECK" in stage
    for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.*) \S+$", docker, re.M):
        assert all((ROOT / source).exists() for source in sources.split()), sources
    assert re.search(r"^ARG DEBIAN=debian:12\.\d+-slim$", docker, re.M)
    for variable in re.findall(r"\$\{(\w+):-([^}]*)\}", text):
        assert not ("PASSWORD" in variable[0] or "SECRET" in variable[0]) or variable[1] == "", variable
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 1, "only the proxy is reached from outside"
