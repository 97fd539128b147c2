// Gateways that stop, die and come back while a program sends and reads: nothing is lost, nothing comes twice.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, makeTopic, until } from "./harness.mjs";

const { TIDEGATE_BINARY, TIDEGATE_DATABASE_URL } = process.env;
const HAPROXY = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"].find(existsSync);
const repository = fileURLToPath(new URL("../../../", import.meta.url));
const skip = TIDEGATE_BINARY && TIDEGATE_DATABASE_URL ? false : "it needs TIDEGATE_BINARY and TIDEGATE_DATABASE_URL: test/run sets them";

const ended = (child) => new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.once("exit", resolve) : resolve()));
const answers = async (url) => (await fetch(url).catch(() => ({ ok: false }))).ok;

/** One that nobody uses now, and that is given to nobody who asks for any: a worker comes back to the same place. */
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.on("error", () => resolve(false)).listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) {
      return port;
    }
  }
}

/** A worker that can be started again at the same place. */
class Worker {
  static async start() {
    const worker = new Worker();
    worker.address = `127.0.0.1:${await freePort()}`;
    after(() => worker.stop("SIGKILL"));
    await worker.start();
    return worker;
  }

  async start() {
    this.child = spawn(TIDEGATE_BINARY, ["serve", "--listen", this.address], { env: { PATH: process.env.PATH, TIDEGATE_DATABASE_URL }, stdio: "ignore" });
    await until(() => answers(`http://${this.address}/readyz`));
  }

  async stop(signal) {
    this.child.kill(signal);
    await ended(this.child);
  }
}

/** A program that sends and reads all the time. */
class Steady {
  constructor(url, topic, env = {}) {
    this.acknowledged = 0;
    this.complaints = "";
    this.child = spawn(process.execPath, [fileURLToPath(new URL("steady.mjs", import.meta.url)), url, topic], { env: { ...process.env, ...env } });
    after(() => this.child.kill("SIGKILL"));
    this.child.stderr.on("data", (text) => (this.complaints += text));
    createInterface({ input: this.child.stdout }).on("line", (line) => (this.acknowledged = Number(line.split(" ")[1])));
  }

  async wait(records) {
    const wanted = this.acknowledged + records;
    await until(() => this.acknowledged >= wanted || this.child.exitCode !== null);
    assert.equal(this.child.exitCode, null, this.complaints);
  }

  async finish() {
    this.child.stdin.end();
    await ended(this.child);
    assert.equal(this.child.exitCode, 0, this.complaints);
  }
}

test("a gateway that stops or dies and comes back", { skip }, async () => {
  const topic = await makeTopic(await connect(), { partitions: 3 });
  const worker = await Worker.start();
  const steady = new Steady(`http://${worker.address}`, topic);
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    await steady.wait(300);
    await worker.stop(signal);
    await worker.start();
  }
  await steady.wait(300);
  await steady.finish();
});

test("two gateways behind a proxy that are restarted one after the other", { skip: skip || (HAPROXY ? false : "haproxy is not installed: ./dev setup does it") }, async () => {
  const topic = await makeTopic(await connect(), { partitions: 3 });
  const workers = [await Worker.start(), await Worker.start()];
  const home = mkdtempSync(`${tmpdir()}/tidegate-proxy-`);
  execFileSync(`${repository}config/compose/certificate`, [`${home}/tls.pem`], { stdio: "ignore" });
  const [port, metricsPort] = [await freePort(), await freePort()];
  const proxy = spawn(HAPROXY, ["-W", "-db", "-f", `${repository}config/haproxy.cfg`], {
    env: {
      PROXY_LISTEN: `127.0.0.1:${port}`,
      PROXY_CERTIFICATE: `${home}/tls.pem`,
      PROXY_MAX_CONNECTIONS: "1000",
      PROXY_METRICS: `127.0.0.1:${metricsPort}`,
      WORKER_1: workers[0].address,
      WORKER_2: workers[1].address,
    },
    stdio: "ignore",
  });
  const bothUp = async () => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`).catch(() => undefined))?.text();
    return (text?.match(/^haproxy_server_status\{.*state="UP".* 1$/gm) ?? []).length === 2;
  };
  try {
    await until(bothUp);
    const steady = new Steady(`https://localhost:${port}`, topic, { NODE_EXTRA_CA_CERTS: `${home}/certificate.pem` });
    for (const worker of workers) {
      await steady.wait(300);
      await worker.stop("SIGTERM");
      await worker.start();
      await until(bothUp);
    }
    await steady.wait(300);
    await steady.finish();
  } finally {
    proxy.kill("SIGTERM");
    await ended(proxy);
    rmSync(home, { recursive: true });
  }
});
