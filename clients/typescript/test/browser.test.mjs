// The client in a page of another origin, in a real browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { URL_OF_GATEWAY, connect, makeTopic } from "./harness.mjs";

function findChromium() {
  try {
    return execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

const chromium = findChromium();

const page = (topic) => `<!doctype html><title>client</title><script type="module">
  const report = (line) => fetch("/report", { method: "POST", body: line });
  try {
    const { Fluvio, FluvioError } = await import("/index.js");
    const fluvio = await Fluvio.connect({ url: "${URL_OF_GATEWAY}" });
    const producer = await fluvio.topicProducerWithConfig("${topic}", { compression: "gzip" });
    await producer.sendAll([["k", "text"], [null, new Uint8Array([0, 255])]]);
    await producer.close();
    const controller = new AbortController();
    const stream = await fluvio.consumerWithConfig({ topic: "${topic}", signal: controller.signal });
    const seen = [];
    seen.push((await stream.next()).value.valueString());
    seen.push([...(await stream.next()).value.value()].join());
    const next = stream.next();
    controller.abort(new Error("aborted"));
    seen.push(await next.catch((error) => error.message));
    const all = await fluvio.allPartitionsConsumer("${topic}");
    seen.push((await all.fetch()).length);
    const admin = fluvio.admin();
    await admin.createTopic("${topic}-2");
    await admin.addPartitions("${topic}-2", 5);
    const keyed = await fluvio.topicProducer("${topic}-2");
    const outputs = await keyed.sendAll([["rafael", "x".repeat(500_000)], ["samuel", "2"], ["tabitha", "3"]]);
    await keyed.flush();
    seen.push((await Promise.all(outputs.map((output) => output.wait()))).map((place) => place.partitionId).join());
    const named = { topic: "${topic}-2", offsetConsumer: "page", offsetStrategy: "manual", disableContinuous: true };
    const marked = await fluvio.consumerWithConfig(named);
    const lengths = [];
    for await (const record of marked) {
      lengths.push(record.value().length);
      marked.offsetCommit();
    }
    await marked.offsetFlush();
    seen.push(lengths.sort((a, b) => a - b).join());
    seen.push((await fluvio.consumerOffsets("${topic}-2")).length);
    await fluvio.deleteConsumerOffset("page", "${topic}-2");
    await admin.deleteTopic("${topic}-2");
    seen.push(await fluvio.topicProducerWithConfig("${topic}", { compression: "lz4" }).catch((error) => error.kind));
    seen.push(await fluvio.topicProducer("no-such-topic").catch((error) => error instanceof FluvioError && error.kind));
    await report(seen.join(" "));
  } catch (error) {
    await report("failed: " + error.stack);
  }
</script>`;

test("a page produces, consumes, keeps its place and makes topics", { skip: chromium ? false : "there is no chromium; ./dev setup installs it" }, async () => {
  const topic = await makeTopic(await connect(), { partitions: 1 });
  const modules = fileURLToPath(new URL("../dist/esm/", import.meta.url));
  let report;
  const reported = new Promise((resolve) => (report = resolve));
  const server = http.createServer(async (request, response) => {
    if (request.method === "POST") {
      let text = "";
      for await (const part of request) {
        text += part;
      }
      response.end();
      report(text);
    } else if (request.url.endsWith(".js")) {
      response.writeHead(200, { "Content-Type": "text/javascript" });
      response.end(readFileSync(`${modules}${basename(request.url)}`));
    } else {
      response.writeHead(200, { "Content-Type": "text/html" });
      response.end(page(topic));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(`${tmpdir()}/tidegate-browser-`);
  const browser = spawn(
    chromium,
    ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`, "--remote-debugging-port=0", `http://127.0.0.1:${server.address().port}/`],
    { stdio: "ignore", detached: true }, // a group of its own, to end with all its helpers
  );
  const ended = new Promise((resolve) => browser.on("exit", resolve));
  const died = ended.then(() => "failed: the browser ended");
  try {
    assert.equal(await Promise.race([reported, died]), "text 0,255 aborted 2 3,4,2 1,1,500000 3 Compression TopicNotFound");
  } finally {
    if (browser.exitCode === null) {
      process.kill(-browser.pid, "SIGKILL");
    }
    await ended;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
});
