"""httpmq: the public Python client, unmodified, from its registry (contract, sections 7 and 8).

It is installed into an environment of its own on first use; without the registry the test is skipped, and says so.
"""

import pathlib
import subprocess
import sys
import tempfile

import pytest

CLIENT = pathlib.Path(__file__).parent / "httpmq_sdk_client.py"
PACKAGE = "httpmq==0.1.0"

pytestmark = pytest.mark.http1("that is what this client speaks")


@pytest.fixture(scope="module")
def python():
    """An interpreter that has the public client."""
    with tempfile.TemporaryDirectory(prefix="tgsdk") as home:
        subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
        inside = f"{home}/bin/python"
        installed = subprocess.run([inside, "-m", "pip", "install", "-q", "--timeout", "20", "--retries", "1", PACKAGE],
                                   capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            pytest.skip(f"{PACKAGE} cannot be installed here, so the public client was NOT tried: {installed.stderr[-300:]}")
        yield inside


def test_the_public_python_client_works_unmodified(python, gateway):
    done = subprocess.run([python, CLIENT, gateway.url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all scenarios passed"
