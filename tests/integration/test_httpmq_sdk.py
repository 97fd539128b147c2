"""httpmq: the public clients, unmodified, from their registries (contract, sections 7 and 8).

Each is installed on first use, the Python one into an environment, the Go one into a module of its own. Where the registry (or
Go) is not there, its tests are skipped, and say in capital letters what was not tried. The Go scenarios run in any case with a
client of our own in its place (httpmq_go_stand_in), which sends and demands what that one does.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
PYTHON_PACKAGE = "httpmq==0.1.0"
GO_PACKAGE = "github.com/alwitt/httpmq-go"


def skip(package, why):
    pytest.skip(f"SKIPPED LOUDLY: {package} CANNOT BE INSTALLED HERE, SO THE PUBLIC CLIENT WAS NOT TRIED: {why.strip()[-300:]}")


def passes(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all scenarios passed"

pytestmark = pytest.mark.http1("that is what this client speaks")


@pytest.fixture(scope="module")
def python():
    """An interpreter that has the public client."""
    with tempfile.TemporaryDirectory(prefix="tgsdk") as home:
        subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
        inside = f"{home}/bin/python"
        installed = subprocess.run([inside, "-m", "pip", "install", "-q", "--timeout", "20", "--retries", "1", PYTHON_PACKAGE],
                                   capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            skip(PYTHON_PACKAGE, installed.stderr)
        yield inside


def build_go_scenarios(home, *requirement):
    """The program; with its client from the registry, or as the requirement says."""
    go = shutil.which("go")
    if go is None:
        skip(GO_PACKAGE, "there is no go")

    def run(*arguments):
        return subprocess.run([go, *arguments], cwd=home, capture_output=True, text=True, timeout=300, check=False)
    shutil.copy(HERE / "httpmq_sdk_client.go", f"{home}/main.go")
    run("mod", "init", "scenarios")
    got = run(*requirement)
    if got.returncode != 0:
        skip(GO_PACKAGE, got.stderr)
    assert run("mod", "tidy").returncode == 0
    built = run("build", "-o", "scenarios", ".")
    assert built.returncode == 0, built.stderr
    return f"{home}/scenarios"


@pytest.fixture(scope="module")
def go_program(tmp_path_factory):
    return build_go_scenarios(tmp_path_factory.mktemp("sdk"), "get", f"{GO_PACKAGE}@latest")


@pytest.fixture(scope="module")
def stand_in_program(tmp_path_factory):
    return build_go_scenarios(tmp_path_factory.mktemp("sdk"), "mod", "edit", "-require", f"{GO_PACKAGE}@v0.0.0", "-replace",
                              f"{GO_PACKAGE}={HERE / 'httpmq_go_stand_in'}")


def test_the_public_python_client_works_unmodified(python, gateway):
    passes(python, HERE / "httpmq_sdk_client.py", gateway.url)


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_the_public_go_client_works_unmodified(go_program, gateway, protocol):
    passes(go_program, gateway.url, protocol)


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_a_go_client_of_the_same_ways_works(stand_in_program, gateway, protocol):
    passes(stand_in_program, gateway.url, protocol)
