"""A page in a real browser: EventSource on a watch session, and what CORS lets it do."""

import functools
import http.server
import shutil
import subprocess
import threading

import pytest

from harness import wait

CHROMIUM = shutil.which("chromium")

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; ./dev setup installs it"),
              pytest.mark.http1("without TLS no browser speaks HTTP/2")]

PAGE = """<!doctype html><title>watch</title><script>
const gateway = "%(gateway)s", reports = [];
const report = (line) => fetch("/seen", {method: "POST", body: line});
const show = (line) => { reports.push(report(line)); };
const post = (path, body) => fetch(gateway + path, {method: "POST", body: JSON.stringify(body),
                                                    headers: {"Content-Type": "application/json"}}).then((r) => r.json());
const write = (n) => post("/v0/topics/%(topic)s", {records: [{data: {n}}]});
(async () => {
  await write(1);
  const session = await post("/v0/watch", {topics: {"%(topic)s": {from_seq: 0}}});
  const open = (after) => {
    const source = new EventSource(gateway + session.stream_url);
    source.addEventListener("record", async (event) => {
      for (const record of JSON.parse(event.data).records) {
        show("record " + record.$seq + " " + JSON.stringify(record.data));
        if (record.$seq === 1) await write(2);
        if (record.$seq === 2) { source.close(); after(); }
      }
    });
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) show("closed"); };
  };
  open(async () => { await write(3); post("/v0/topics/%(topic)s/diff", {from_seq: 2}).then((d) => {
    show("diff " + d.records[0].$seq); Promise.all(reports).then(() => report("done")); }); });
})().catch((e) => show("failed " + e));
</script>"""


@pytest.fixture
def page_server(tmp_path):
    """Serves the page; server.seen are the lines that it reports."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self):
            self.server.seen.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path))
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_page_of_another_origin_writes_watches_and_reads(gateway, page_server, tmp_path, name):
    (tmp_path / "index.html").write_text(PAGE % {"gateway": gateway.url, "topic": name})
    browser = subprocess.Popen([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                f"--user-data-dir={tmp_path}/profile", "--remote-debugging-port=0",
                                f"http://127.0.0.1:{page_server.server_address[1]}/index.html"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait.until(lambda: "done" in page_server.seen or any(line.startswith("failed") for line in page_server.seen),
                   "the page is through", deadline_s=3 * wait.DEADLINE_S)
    finally:
        browser.kill()
        browser.wait()
    # Reports travel apart, the last one when the others have arrived: their order in the page is what the numbers show.
    assert sorted(page_server.seen) == ["diff 3", "done", 'record 1 {"n":1}', 'record 2 {"n":2}']
