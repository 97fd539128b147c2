"""HTTP/2: the public conformance tool h2spec, from its registry.

It is installed into a directory of its own; without Go or the registry the test is skipped, and says so.
"""

import os
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from harness import wait

MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

# What it finds, and we want to be so.
KNOWN = {
    # No preface is a request of HTTP/1.1, and gets that protocol's answer.
    ("http2/3.5", "Sends invalid connection preface"),
    # nghttp2 does not remember every stream that was: HEADERS for an old one are ignored, not an error.
    ("http2/5.1.1", "Sends stream identifier that is numerically smaller than previous"),
}


@pytest.fixture(scope="module")
def h2spec(tmp_path_factory):
    home = tmp_path_factory.mktemp("h2spec")
    if shutil.which("go") is None:
        pytest.skip("there is no Go here to build h2spec with, so HTTP/2's conformance was NOT tested")
    installed = subprocess.run(["go", "install", MODULE], env={**os.environ, "GOBIN": str(home)}, capture_output=True, text=True,
                               timeout=300, check=False)
    if installed.returncode != 0:
        pytest.skip(f"h2spec cannot be installed here, so HTTP/2's conformance was NOT tested: {installed.stderr[-300:]}")
    return home / "h2spec"


@pytest.mark.parametrize("path", ["/healthz", "/topics"], ids=["at once", "from the database"])
def test_h2spec(h2spec, gateway, tmp_path, path):
    report = tmp_path / "report.xml"
    done = subprocess.run([h2spec, "-h", gateway.host, "-p", str(gateway.port), "-P", path, "-o", str(int(5 * wait.SLOWNESS)),
                           "-j", report], capture_output=True, text=True, timeout=300 * wait.SLOWNESS, check=False)
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    assert len(cases) > 140, done.stdout[-2000:]
    found = {(case.get("package"), case.get("classname")) for case in cases
             if case.find("failure") is not None or case.find("error") is not None}
    assert found <= KNOWN, done.stdout[done.stdout.find("Failures"):]
