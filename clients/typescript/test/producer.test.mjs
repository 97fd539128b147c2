import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import tls from "node:tls";
import { Fluvio, FluvioError, SpecificPartitioner } from "../dist/esm/index.js";
import { BATCH_FIXED_BYTES, recordSize } from "../dist/esm/batch.js";
import { URL_OF_GATEWAY, connect, makeTopic, startProxy, startRecorder, until, values } from "./harness.mjs";

const fluvio = await connect();
const HOUR = 3_600_000;
const QUICK = { strategy: "fixed", initialDelayMs: 5, maxRetries: 50 };
const kind = (expected) => (error) => error instanceof FluvioError && error.kind === expected;

const everything = async (topic) => (await fluvio.allPartitionsConsumer(topic)).fetch();

test("what is sent can be read, with its offset, key and time", async () => {
  const topic = await makeTopic(fluvio);
  const producer = await fluvio.topicProducer(topic);
  const before = Date.now();
  const output = await producer.send("key", "value");
  await producer.send(null, Uint8Array.of(0, 255), { timestamp: 1234, headers: [["a", "1"], ["a", "2"]] });
  await producer.send("", "no key \u0000 \ud800 ключ");
  await producer.send(Uint8Array.of(255), new Uint8Array([1, 2]).buffer);
  await producer.flush();
  assert.deepEqual(await output.wait(), { offset: 0, partitionId: 0 });
  assert.deepEqual(await output.wait(), { offset: 0, partitionId: 0 });
  const [first, second, third, fourth] = await everything(topic);
  assert.equal(first.keyString(), "key");
  assert.deepEqual(first.key(), new TextEncoder().encode("key"));
  assert.ok(first.timestamp() >= before && first.timestamp() <= Date.now());
  assert.equal(second.hasKey(), false);
  assert.equal(second.key(), undefined);
  assert.deepEqual([...second.value()], [0, 255]);
  assert.equal(second.timestamp(), 1234);
  assert.deepEqual(second.headers(), [["a", "1"], ["a", "2"]]);
  assert.equal(third.hasKey(), false);
  assert.equal(third.valueString(), "no key \u0000 \ufffd ключ");
  assert.deepEqual([[...fourth.key()], [...fourth.value()], fourth.keyString()], [[255], [1, 2], "\ufffd"]);
  await producer.close();
});

test("keys go where Fluvio puts them, and the gateway agrees", async () => {
  const topic = await makeTopic(fluvio, { partitions: 5 });
  const producer = await fluvio.topicProducer(topic);
  const outputs = await producer.sendAll([["rafael", "1"], ["samuel", "2"], ["tabitha", "3"], [null, "4"], ["", "5"]]);
  outputs.push(await producer.sendRecord("6", 4));
  await producer.close();
  const places = await Promise.all(outputs.map(async (output) => (await output.wait()).partitionId));
  assert.deepEqual(places, [3, 4, 2, 0, 1, 4]);
  const fixed = await fluvio.topicProducerWithConfig(topic, { partitioner: new SpecificPartitioner(1), lingerMs: 0 });
  assert.equal((await (await fixed.send("rafael", "7")).wait()).partitionId, 1);
  await assert.rejects(fixed.send("k", "v", { partition: 5 }), kind("PartitionNotFound"));
  const answer = await fetch(`${process.env.TIDEGATE_URL}/topics/${topic}/produce`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ key: "rafael", value: "" }] }),
    headers: { "Content-Type": "application/json" },
  });
  assert.equal((await answer.json()).results[0].partition, 3);
});

test("batches end by size, and the rest is sent by a flush only", async () => {
  const recorder = await startRecorder();
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const timestamp = 1_700_000_000_000;
  const one = recordSize(-1, 10, 0, 0);
  const producer = await client.topicProducerWithConfig("t", { lingerMs: HOUR, batchSize: BATCH_FIXED_BYTES + 3 * one + 1 });
  for (let i = 0; i < 7; i++) {
    await producer.send(null, "0123456789", { timestamp });
  }
  await producer.send(null, "x".repeat(500), { timestamp }); // larger than a batch: alone
  await until(() => recorder.requests.length === 4);
  assert.deepEqual(recorder.requests.map((request) => request.messages.length), [3, 3, 1, 1]);
  await producer.send(null, "0123456789", { timestamp });
  await producer.flush();
  assert.deepEqual(recorder.requests.map((request) => request.messages.length), [3, 3, 1, 1, 1]);
  assert.deepEqual(recorder.requests.map((request) => request.headers["producer-seq"]), ["0", "1", "2", "3", "4"]);
  await producer.close();
});

test("batches of mixed records end where the contract's formula says", async () => {
  const varint = (number) => (number < 64 ? 1 : number < 8192 ? 2 : 3); // zigzag, from 0
  const sizeOf = (key, value, delta, index) => {
    const inner = 1 + varint(delta) + varint(index) + 1 + (key ? varint(key) + key : 0) + varint(value) + value + 1;
    return varint(inner) + inner;
  };
  const began = 1_700_000_000_000;
  for (const batchSize of [300, 1000, 16_384]) {
    const recorder = await startRecorder();
    after(recorder.close);
    const client = await connect({ url: recorder.url });
    const producer = await client.topicProducerWithConfig("t", { lingerMs: HOUR, batchSize });
    const counts = [];
    let size = Infinity;
    let base = 0;
    for (let i = 0; i < 400; i++) {
      const [key, value, timestamp] = [(i * 7) % 90, (i * i * 31) % 230, began + i * 11];
      const grown = size + sizeOf(key, value, timestamp - base, counts.at(-1) ?? 0);
      if (grown <= batchSize && size !== batchSize) {
        size = grown;
        counts[counts.length - 1]++;
      } else {
        base = timestamp;
        size = 61 + sizeOf(key, value, 0, 0);
        counts.push(1);
      }
      await producer.send("k".repeat(key), "v".repeat(value), { timestamp });
    }
    await producer.close();
    assert.deepEqual(recorder.requests.map(({ messages }) => messages.length), counts, `${batchSize}`);
  }
});

test("a lone record waits for the linger, and no longer", async () => {
  const recorder = await startRecorder();
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 30 });
  const output = await producer.send(null, "alone");
  assert.equal(recorder.requests.length, 0);
  assert.equal((await output.wait()).offset, 0);
  const eager = await client.topicProducerWithConfig("t", { lingerMs: 0 });
  await Promise.all([1, 2, 3].map((n) => eager.send(null, String(n))));
  await eager.flush();
  assert.equal(recorder.requests.length, 2); // sent in one turn of the program: together
});

test("an oversize record is refused and nothing is queued", async () => {
  const topic = await makeTopic(fluvio);
  const producer = await fluvio.topicProducerWithConfig(topic, { batchSize: 500, maxRequestSize: 1000 });
  await assert.rejects(producer.send(null, "x".repeat(1000)), (error) => error.kind === "RecordTooLarge" && error.code === 10);
  await (await producer.send(null, "x".repeat(900))).wait();
  assert.equal((await everything(topic)).length, 1);
});

test("what may pass is tried again, with the same sequence, after the time the gateway asks for", async () => {
  const statuses = [503, 429, 502, 408];
  const recorder = await startRecorder({ answer: (_entry, index) => statuses[index] && { status: statuses[index], headers: index === 0 ? { "Retry-After": "1" } : {} } });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 0, retry: QUICK });
  const began = Date.now();
  await (await producer.send("k", "v")).wait();
  assert.ok(Date.now() - began >= 990);
  assert.deepEqual(recorder.requests.map((request) => request.headers["producer-seq"]), ["0", "0", "0", "0", "0"]);
});

test("a refusal is not repeated, sticks to its partition, and can be cleared", async () => {
  const recorder = await startRecorder({ partitions: 2, answer: (_entry, index) => (index === 0 ? { status: 422, code: "topic_full" } : undefined) });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 0 });
  const failed = await producer.send(null, "a", { partition: 0 });
  await assert.rejects(failed.wait(), (error) => error.kind === "PartitionFull" && error.code === 72 && error.status === 422 && !error.retryable);
  await assert.rejects(producer.send(null, "b", { partition: 0 }), kind("PartitionFull"));
  await (await producer.send(null, "c", { partition: 1 })).wait();
  await assert.rejects(producer.flush(), kind("PartitionFull"));
  producer.clearErrors();
  await (await producer.send(null, "d", { partition: 0 })).wait();
  await producer.flush();
  assert.deepEqual(recorder.requests.map((request) => [request.messages[0].valueString(), request.headers["producer-epoch"], request.headers["producer-seq"]]), [
    ["a", "0", "0"],
    ["c", "0", "0"],
    ["d", "1", "0"],
  ]);
});

test("a wrong key is an error that is not tried again", async () => {
  const recorder = await startRecorder({ answer: () => ({ status: 401, code: "unauthorized" }) });
  after(recorder.close);
  const client = await connect({ url: recorder.url, apiKey: "tg_wrong" });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 0 });
  await assert.rejects((await producer.send(null, "v")).wait(), (error) => error.kind === "PermissionDenied" && error.code === 13 && error.serverCode === "unauthorized");
  assert.deepEqual(recorder.requests.map((request) => request.headers.authorization), ["Bearer tg_wrong"]);
});

test("after its tries a batch fails with what was last wrong", async () => {
  const recorder = await startRecorder({ answer: () => ({ status: 503 }) });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 0, retry: { ...QUICK, maxRetries: 2 } });
  await assert.rejects((await producer.send(null, "v")).wait(), (error) => error.kind === "ProduceRequestRetryTimeout" && error.cause.status === 503);
  assert.equal(recorder.requests.length, 3);
  const once = await client.topicProducerWithConfig("t", { lingerMs: 0, deliverySemantic: "at-most-once" });
  await assert.rejects((await once.send(null, "v")).wait(), kind("Unavailable"));
  assert.equal(recorder.requests.length, 4);
  assert.equal(recorder.requests[3].headers["producer-id"], undefined);
});

test("a full queue makes send wait, in order, and not for ever", async () => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const recorder = await startRecorder({ answer: async () => void (await gate) });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const config = { batchSize: 1, maxRequestSize: 1000, batchQueueSize: 2, lingerMs: HOUR };
  const impatient = await client.topicProducerWithConfig("t", { ...config, queueTimeoutMs: 20 });
  await impatient.send(null, "in flight");
  await until(() => recorder.requests.length === 1);
  await impatient.send(null, "1");
  await impatient.send(null, "2");
  await assert.rejects(impatient.send(null, "3"), kind("BatchQueueWaitTimeout"));
  const patient = await client.topicProducerWithConfig("t", config);
  const sends = [0, 1, 2, 3, 4, 5].map((n) => patient.send(null, String(n)));
  const flushed = patient.flush();
  release();
  await flushed;
  const offsets = await Promise.all((await Promise.all(sends)).map(async (output) => (await output.wait()).offset));
  assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b));
  await impatient.close();
});

test("close gives up at its deadline, and no record can be sent after it", async () => {
  const recorder = await startRecorder({ answer: () => new Promise(() => undefined) });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducer("t");
  const output = await producer.send(null, "v");
  await assert.rejects(producer.close({ deadlineMs: 50 }), kind("FlushTimeout"));
  await assert.rejects(output.wait(), kind("FlushTimeout"));
  await assert.rejects(producer.send(null, "v"), kind("Closed"));
});

test("connections cut in the middle of requests and answers: every record is stored once, in order", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  const proxy = await startProxy();
  after(proxy.close);
  const client = await connect({ url: proxy.url });
  const producer = await client.topicProducerWithConfig(topic, { lingerMs: 0, batchSize: 300, retry: QUICK });
  let pieces = 0;
  proxy.cut = () => (++pieces % 3 === 0 ? 0 : undefined); // requests before the gateway has them, and answers after it stored
  const sent = Array.from({ length: 200 }, (_, n) => `record ${n}`);
  for (const value of sent) {
    await producer.send(null, value);
  }
  await producer.flush();
  assert.ok(proxy.connections > 10);
  for (const partition of [0, 1]) {
    const records = await (await fluvio.partitionConsumer(topic, partition)).fetch();
    assert.deepEqual(values(records), sent.filter((_, n) => n % 2 === partition));
    assert.deepEqual(records.map((record) => record.offset()), records.map((_, n) => n));
  }
  await producer.close();
});

test("a connection that is cut at any byte of a request or of its answer: every record is stored once", async () => {
  const topic = await makeTopic(fluvio);
  const proxy = await startProxy();
  after(proxy.close);
  const client = await connect({ url: proxy.url });
  const producer = await client.topicProducerWithConfig(topic, { lingerMs: 0, retry: QUICK });
  const sent = [];
  for (const direction of ["up", "down"]) {
    for (let bytes = 0; ; bytes++) {
      proxy.cutOnce(direction, bytes);
      const value = `${direction} ${bytes}`;
      sent.push(value);
      const { offset } = await (await producer.send(null, value)).wait();
      assert.equal(offset, sent.length - 1);
      if (!proxy.isCut) {
        break; // the whole exchange is shorter
      }
    }
  }
  assert.ok(sent.length > 400, `${sent.length}`);
  assert.deepEqual(values(await everything(topic)), sent);
  await producer.close();
});

test("a producer that the gateway has forgotten begins anew", async () => {
  const recorder = await startRecorder({ answer: (_entry, index) => (index === 1 ? { status: 409, code: "producer_sequence_gap" } : undefined) });
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducerWithConfig("t", { lingerMs: 0 });
  await (await producer.send(null, "a")).wait();
  await (await producer.send(null, "b")).wait();
  const triples = recorder.requests.map(({ headers, messages }) => [messages[0].valueString(), headers["producer-epoch"], headers["producer-seq"]]);
  assert.deepEqual(triples, [["a", "0", "0"], ["b", "0", "1"], ["b", "1", "0"]]);
});

test("what a request says: packets, a short answer, the producer's triple, the time of each record", async () => {
  const recorder = await startRecorder();
  after(recorder.close);
  const client = await connect({ url: recorder.url });
  const producer = await client.topicProducer("t");
  await producer.send("k", "v", { timestamp: 1234, headers: [["a", "ü"]] });
  const before = Date.now();
  await producer.send(null, "w");
  await producer.close();
  const [{ headers, messages }] = recorder.requests;
  assert.deepEqual(
    [headers["content-type"], headers["prefer"], headers["producer-epoch"], headers["producer-seq"], headers["content-encoding"]],
    ["application/vnd.tidegate.records", "return=minimal", "0", "0", undefined],
  );
  assert.match(headers["producer-id"], /^[0-9a-f]{32}-0$/);
  const [first, second] = messages;
  assert.deepEqual([first.partition(), first.timestamp(), first.keyString(), first.headers()], [0, 1234, "k", [["a", "ü"]]]);
  assert.deepEqual([second.hasKey(), second.valueString(), second.headers()], [false, "w", []]);
  assert.ok(second.timestamp() >= before && second.timestamp() <= Date.now());
});

test("a producer learns that partitions were added", async () => {
  const topic = await makeTopic(fluvio);
  const producer = await fluvio.topicProducerWithConfig(topic, { lingerMs: 0 });
  await fluvio.admin().addPartitions(topic, 3);
  const clock = Date.now;
  Date.now = () => clock() + 60_000;
  after(() => (Date.now = clock));
  await until(async () => (await (await producer.send(null, "v")).wait()).partitionId === 2);
  Date.now = clock;
  await producer.close();
});

test("compressed batches arrive, whatever the compression", async () => {
  const topic = await makeTopic(fluvio);
  const text = "v".repeat(200_000); // several blocks of every format
  for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"]) {
    const producer = await fluvio.topicProducerWithConfig(topic, { compression });
    await producer.sendAll([[compression, text], [null, Uint8Array.of(0, 255)]]);
    await producer.close();
    const [large, small] = (await everything(topic)).slice(-2);
    assert.deepEqual([large.keyString(), large.valueString() === text, ...small.value()], [compression, true, 0, 255]);
  }
});

test("a codec that is given is the one that is used", async () => {
  const topic = await makeTopic(fluvio);
  let calls = 0;
  const client = await connect({ codecs: { snappy: (body) => (calls++, body) } });
  const broken = await client.topicProducerWithConfig(topic, { compression: "snappy", lingerMs: 0 });
  await assert.rejects((await broken.send(null, "not snappy at all")).wait(), (error) => error.status === 400);
  assert.equal(calls, 1);
  const failing = await connect({ codecs: { lz4: () => Promise.reject(new Error("no room")) } });
  const producer = await failing.topicProducerWithConfig(topic, { compression: "lz4", lingerMs: 0 });
  await assert.rejects((await producer.send(null, "v")).wait(), (error) => error.kind === "Compression" && /no room/.test(error.message));
});

test("onBatch is told of each batch that was stored", async () => {
  const topic = await makeTopic(fluvio);
  const events = [];
  const producer = await fluvio.topicProducerWithConfig(topic, { lingerMs: HOUR, onBatch: (event) => events.push(event) });
  await producer.sendAll([[null, "a"], [null, "b"]]);
  await producer.close();
  assert.deepEqual(events.map(({ partition, records }) => [partition, records]), [[0, 2]]);
});

test("an unknown topic fails when the producer is made", async () => {
  await assert.rejects(fluvio.topicProducer("no-such-topic"), (error) => error.kind === "TopicNotFound" && error.code === 2001 && error.status === 404);
  await assert.rejects(fluvio.topicProducer(""), kind("TopicNotFound"));
});

test("an address where no gateway answers says what to do", async () => {
  await assert.rejects(connect({ url: "http://127.0.0.1:1" }), (error) => error.kind === "Socket" && error.retryable);
  const other = http.createServer((request, response) => response.writeHead(request.url.startsWith("/not-here") ? 404 : 200).end("<html>"));
  await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
  after(() => other.close());
  const url = `http://127.0.0.1:${other.address().port}`;
  const foreign = (error) => error.kind === "Server" && /check the address/.test(error.message);
  await assert.rejects(connect({ url }), foreign);
  await assert.rejects(connect({ url: `${url}/not-here` }), foreign);
  assert.throws(() => new Fluvio({ url }).admin(), kind("ClientConfig"));
});

/** Two that certify themselves, for a name: [certificate, key] each. */
function makeCertificates(...names) {
  const home = mkdtempSync(`${tmpdir()}/tidegate-tls-`);
  const texts = names.map((name) => {
    const options = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    execFileSync("openssl", [...options, "-keyout", `${home}/key`, "-out", `${home}/cert`], { stdio: "ignore" });
    return [readFileSync(`${home}/cert`, "utf8"), readFileSync(`${home}/key`, "utf8")];
  });
  rmSync(home, { recursive: true });
  return texts;
}

test("TLS: whom to trust, and as whom to be trusted", async () => {
  const [[ca, serverKey], [cert, key]] = makeCertificates("gateway.example", "client");
  const gateway = new URL(URL_OF_GATEWAY);
  const server = tls.createServer({ cert: ca, key: serverKey, requestCert: true, ca: cert }, (socket) => {
    const upstream = net.connect(Number(gateway.port), gateway.hostname);
    socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    upstream.on("error", () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const url = `https://127.0.0.1:${server.address().port}`;
  const domain = "gateway.example";
  const untrusted = (error) => error.kind === "Tls" && !error.retryable && /tls\.ca/.test(error.message);
  await assert.rejects(connect({ url }), untrusted);
  await assert.rejects(connect({ url, tls: { ca, cert, key } }), untrusted); // another name
  await assert.rejects(connect({ url, tls: { ca, domain } }), kind("Tls")); // no certificate of its own
  await assert.rejects(connect({ url: URL_OF_GATEWAY.replace("http:", "https:") }), untrusted); // no TLS at all
  for (const trust of [{ ca, domain }, { verify: false }]) {
    const client = await connect({ url, tls: { cert, key, ...trust } });
    const topic = await makeTopic(client);
    const producer = await client.topicProducer(topic);
    await producer.send(null, "v");
    await producer.close();
    const stream = await client.consumerWithConfig({ topic });
    assert.equal((await stream.next()).value.valueString(), "v");
    await stream.close();
  }
  assert.throws(() => new Fluvio({ url, tls: { ca: "/etc/ca.pem" } }), kind("ClientConfig"));
  assert.throws(() => new Fluvio({ url, tls: { ca, cert, key: serverKey } }), kind("ClientConfig"));
  assert.throws(() => new Fluvio({ url: URL_OF_GATEWAY, tls: { ca } }), kind("ClientConfig"));
  assert.throws(() => new Fluvio({ url, tls: { ca }, fetch }), kind("ClientConfig"));
});
