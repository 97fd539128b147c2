"""The distributions of clients/python: built, looked into, installed where nothing else is, and used against a gateway."""

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest

from harness.gateway import ROOT, environment

pytestmark = pytest.mark.http1("that is what the libraries speak")

SOURCE = ROOT / "clients" / "python"
PROGRAM = """
from tidegate import ConsumerConfig, Fluvio, Offset, TopicSpec

with Fluvio.connect() as fluvio, fluvio.admin() as admin:
    admin.create_topic("packaged", TopicSpec.create().build())
    with fluvio.topic_producer("packaged") as producer:
        producer.send("key", "value")
    for record in fluvio.partition_consumer("packaged", 0).stream_with_config(
            Offset.beginning(), ConsumerConfig().disable_continuous()):
        print(record.key_string(), record.value_string())
"""


def build(kind, destination):
    """The path of the sdist or wheel, built without the network by the back end that pyproject.toml names."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(destination)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=destination / "source", text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return destination / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """A copy is built: a build leaves things beside what it builds."""
    home = tmp_path_factory.mktemp("package")
    shutil.copytree(SOURCE, home / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info"))
    return build("sdist", home), build("wheel", home)


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory):
    """The Python of a fresh environment that has the wheel and nothing else."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home)
    python = home / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--disable-pip-version-check",
                    distributions[1]], check=True, capture_output=True)
    return python


def test_both_distributions_have_the_whole_package(distributions):
    modules = {f"tidegate/{path.name}" for path in (SOURCE / "src" / "tidegate").iterdir() if path.is_file()}
    assert "tidegate/py.typed" in modules
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = set(wheel.namelist())
    assert modules <= names and all(name.startswith("tidegate") for name in names)
    assert any(name.endswith("LICENSE") for name in names)
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in modules} | {"README.md", "LICENSE", "pyproject.toml"} <= names


def test_the_wheel_works_where_nothing_else_is(installed, gateway, tmp_path):
    done = subprocess.run([installed, "-I", "-c", PROGRAM], env={**environment(), "TIDEGATE_URL": gateway.url}, cwd=tmp_path,
                          text=True, capture_output=True, check=False)
    assert (done.stdout, done.returncode) == ("key value\n", 0), done.stderr


def check_types(python, *paths):
    """As strictly as can be; `python` is where imports are looked up."""
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", "/dev/null", *paths],
                          cwd=paths[0].parent, env=environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_library_is_typed(distributions):
    check_types(sys.executable, distributions[0].parent / "source" / "src" / "tidegate")


def test_programs_that_use_the_installed_library_are_checked_by_its_types(installed, tmp_path):
    for path in (SOURCE / "examples").glob("*.py"):
        shutil.copy(path, tmp_path)  # away from the source
    check_types(installed, *tmp_path.glob("*.py"))
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from tidegate import Offset\n\nOffset.absolute('1')\n")
    with pytest.raises(AssertionError, match="arg-type"):
        check_types(installed, wrong)


def test_the_version_is_the_same_everywhere(installed, tmp_path):
    code = "import importlib.metadata, tidegate; print(tidegate.__version__ == importlib.metadata.version('tidegate'))"
    done = subprocess.run([installed, "-I", "-c", code], cwd=tmp_path, env=environment(), text=True, capture_output=True,
                          check=True)
    assert done.stdout == "True\n"
