import assert from "node:assert/strict";
import { after, test } from "node:test";
import { FluvioError, Offset } from "../dist/esm/index.js";
import { Transport } from "../dist/esm/http.js";
import { fetchTopic } from "../dist/esm/topic.js";
import { URL_OF_GATEWAY, connect, makeTopic, startProxy, take, until, values } from "./harness.mjs";

const fluvio = await connect();
const kind = (expected) => (error) => error instanceof FluvioError && error.kind === expected;

async function fill(topic, list, options = {}) {
  const producer = await fluvio.topicProducerWithConfig(topic, { lingerMs: 0 });
  for (const value of list) {
    await producer.send(null, value, options);
  }
  await producer.close();
}

const numbers = (from, to) => Array.from({ length: to - from }, (_, n) => String(from + n));

test("a stream begins where it is told and goes on with what comes", async () => {
  const topic = await makeTopic(fluvio);
  await fill(topic, numbers(0, 5));
  const consumer = await fluvio.partitionConsumer(topic, 0);
  const first = async (offset, count) => values(await take(await consumer.createStream(offset), count));
  assert.deepEqual(await first(Offset.FromBeginning(), 5), numbers(0, 5));
  assert.deepEqual(await first(Offset.FromBeginning(3), 2), ["3", "4"]);
  assert.deepEqual(await first(Offset.FromEnd(1), 1), ["4"]);
  assert.deepEqual(await first(Offset.Absolute(2n), 1), ["2"]);
  const live = await consumer.createStream(Offset.FromEnd());
  const next = live.next();
  await fill(topic, ["5"]);
  assert.equal((await next).value.valueString(), "5");
  await live.close();
  assert.deepEqual(await live.next(), { done: true, value: undefined });
  await assert.rejects(consumer.createStream(Offset.Absolute(7)), kind("OffsetOutOfRange"));
});

test("a time is a place to begin at", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  const began = Date.now();
  await fill(topic, ["old"], { partition: 1 });
  const between = Date.now() + 1;
  await until(() => Date.now() > between);
  await fill(topic, ["new"], { partition: 1 });
  const consumer = await fluvio.allPartitionsConsumer(topic);
  assert.deepEqual(values(await consumer.fetch(Offset.Timestamp(between))), ["new"]);
  assert.deepEqual(values(await consumer.fetch(Offset.Timestamp(new Date(began)))), ["old", "new"]);
});

test("a bounded read ends exactly where the topic ended when it was opened", async () => {
  const topic = await makeTopic(fluvio, { partitions: 3 });
  await fill(topic, numbers(0, 300));
  const consumer = await fluvio.allPartitionsConsumer(topic);
  const stream = await consumer.streamWithConfig(Offset.FromBeginning(), { disableContinuous: true, maxBytes: 100 });
  await fill(topic, ["later"]);
  const records = [];
  for await (const record of stream) {
    records.push(record);
  }
  assert.deepEqual(values(records).sort(), numbers(0, 300).sort());
  for (const partition of [0, 1, 2]) {
    const offsets = records.filter((record) => record.partition() === partition).map((record) => record.offset());
    assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b));
  }
  assert.deepEqual(await (await fluvio.partitionConsumer(topic, 0)).fetch(Offset.FromEnd()), []);
});

test("several partitions, and partitions of several topics, in one stream", async () => {
  const one = await makeTopic(fluvio, { partitions: 3 });
  const two = await makeTopic(fluvio);
  await fill(one, numbers(0, 6));
  await fill(two, ["x"]);
  const all = await fluvio.allPartitionsConsumer(one);
  assert.deepEqual(values(await take(await all.createStream(Offset.FromBeginning()), 6)).sort(), numbers(0, 6));
  assert.deepEqual(values(await take(await all.createStream(Offset.FromEnd(1)), 3)).sort(), ["3", "4", "5"]);
  const some = await fluvio.multiTopicPartitionConsumer([[one, 0], [one, 2], [two, 0]]);
  const records = await take(await some.createStream(Offset.FromBeginning()), 5);
  assert.deepEqual(records.map((record) => [record.topic() === two, record.valueString()]).sort(), [
    [false, "0"], [false, "2"], [false, "3"], [false, "5"], [true, "x"],
  ]);
  await assert.rejects(fluvio.multiTopicPartitionConsumer([[two, 1]]), kind("PartitionNotFound"));
  await assert.rejects(fluvio.partitionConsumer("no-such-topic", 0), kind("TopicNotFound"));
});

test("a stream that is cut off goes on where it was, in every partition", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  const proxy = await startProxy();
  after(proxy.close);
  const client = await connect({ url: proxy.url });
  const stream = await client.consumerWithConfig({ topic });
  const list = numbers(0, 40);
  const got = [];
  await fill(topic, list.slice(0, 20));
  const reading = (async () => {
    for await (const record of stream) {
      got.push(record);
      if (got.length === list.length) {
        break;
      }
    }
  })();
  await until(() => got.length > 0);
  proxy.cutAll();
  await fill(topic, list.slice(20));
  await reading;
  assert.deepEqual(values(got).map(Number).sort((a, b) => a - b).map(String), list);
  for (const partition of [0, 1]) {
    const offsets = got.filter((record) => record.partition() === partition).map((record) => record.offset());
    assert.deepEqual(offsets, offsets.map((_, n) => n));
  }
  const strict = await (await client.partitionConsumer(topic, 0)).streamWithConfig(Offset.FromBeginning(), { retryMode: "disabled" });
  await strict.next();
  await take(strict, 19);
  const cut = await (await client.partitionConsumer(topic, 0)).streamWithConfig(Offset.FromEnd(), { retryMode: "disabled" });
  const before = proxy.connections;
  const next = cut.next();
  next.catch(() => undefined);
  let answered = false;
  proxy.cut = (direction) => void (answered ||= direction === "down");
  await until(() => answered || proxy.connections > before + 1);
  proxy.cutAll();
  await assert.rejects(next, kind("Socket"));
});

test("a stream that is cut at any byte gives every record once, in order", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  await fill(topic, numbers(0, 8));
  let longest = 0;
  /** Whether the answer was so long that it was cut there. */
  const isCutAt = async (bytes) => {
    const proxy = await startProxy();
    try {
      const stream = await (await connect({ url: proxy.url })).consumerWithConfig({ topic, disableContinuous: true });
      proxy.cutOnce("down", bytes);
      const records = [];
      for await (const record of stream) {
        records.push(record);
      }
      for (const partition of [0, 1]) {
        const own = records.filter((record) => record.partition() === partition);
        assert.deepEqual(values(own), numbers(0, 8).filter((value) => value % 2 === partition), `cut at ${bytes}`);
      }
      longest = Math.max(longest, proxy.isCut ? bytes : 0);
      return proxy.isCut;
    } finally {
      proxy.close();
    }
  };
  const TOGETHER = 100; // each waits a second before it connects again
  for (let from = 0, isCut = true; isCut; from += TOGETHER) {
    const all = await Promise.all(Array.from({ length: TOGETHER }, (_, n) => isCutAt(from + n)));
    isCut = all.every(Boolean);
  }
  assert.ok(longest > 400, `${longest}`);
});

test("a topic that is deleted ends its streams with an error", async () => {
  const topic = await makeTopic(fluvio);
  await fill(topic, ["a"]);
  const stream = await fluvio.consumerWithConfig({ topic });
  assert.equal((await stream.next()).value.valueString(), "a");
  const ended = assert.rejects(stream.next(), kind("TopicNotFound")); // may be known before the deletion is answered
  await fluvio.admin().deleteTopic(topic);
  await ended;
});

test("an abort makes the iteration throw its reason; leaving the loop and endStream end it", async () => {
  const topic = await makeTopic(fluvio);
  await fill(topic, ["a", "b"]);
  const controller = new AbortController();
  const stream = await fluvio.consumerWithConfig({ topic, signal: controller.signal });
  await stream.next();
  await stream.next();
  const next = stream.next();
  controller.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
  const consumer = await fluvio.partitionConsumer(topic);
  const got = [];
  const reading = consumer.stream(Offset.FromBeginning(), (record) => void got.push(record));
  await until(() => got.length === 2);
  await consumer.endStream();
  await reading;
  assert.deepEqual(values(got), ["a", "b"]);
});

test("a named consumer keeps its place: manual", async () => {
  const topic = await makeTopic(fluvio);
  await fill(topic, numbers(0, 4));
  const named = { topic, offsetConsumer: "reports", offsetStrategy: "manual" };
  const stream = await fluvio.consumerWithConfig(named);
  await stream.next();
  await stream.next();
  stream.offsetCommit();
  await stream.next();
  await stream.offsetFlush();
  await stream.offsetFlush(); // nothing new
  await stream.close();
  const [position] = await fluvio.consumerOffsets(topic);
  assert.deepEqual(position, { consumerId: "reports", topic, partition: 0, offset: 1, modifiedTime: position.modifiedTime });
  assert.ok(position.modifiedTime > Date.now() - 60_000);
  const again = await fluvio.consumerWithConfig({ ...named, offsetStart: Offset.FromEnd() });
  assert.equal((await again.next()).value.valueString(), "2");
  await again.close();
  const unmanaged = await fluvio.consumerWithConfig({ topic, offsetConsumer: "reports" });
  assert.equal((await unmanaged.next()).value.valueString(), "2");
  assert.throws(() => unmanaged.offsetCommit(), (error) => error.kind === "OffsetManagementDisabled" && error.code === 3004);
  await unmanaged.close();
  await fluvio.deleteConsumerOffset("reports", topic);
  assert.deepEqual(await fluvio.consumerOffsets(topic), []);
});

test("a named consumer keeps its place: auto", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  await fill(topic, numbers(0, 10));
  const named = { topic, offsetConsumer: "auto", offsetStrategy: "auto" };
  await take(await fluvio.consumerWithConfig(named), 6); // leaving the loop flushes
  const stored = await fluvio.consumerOffsets(topic);
  assert.equal(stored.reduce((sum, { offset }) => sum + offset + 1, 0), 6);
  const rest = [];
  for await (const record of await fluvio.consumerWithConfig({ ...named, disableContinuous: true })) {
    rest.push(record);
  }
  assert.equal(rest.length, 4);
  assert.deepEqual((await fluvio.consumerOffsets(topic)).map(({ offset }) => offset), [4, 4]);
  const stream = await fluvio.consumerWithConfig({ ...named, offsetConsumer: "first" });
  await stream.next();
  await until(async () => (await fluvio.consumerOffsets(topic)).some(({ consumerId, offset }) => consumerId === "first" && offset === 0));
  await stream.close();
});

test("stored positions are listed, set, forced back and deleted", async () => {
  const topic = await makeTopic(fluvio, { partitions: 2 });
  await fill(topic, numbers(0, 10));
  const id = `c-${topic}`;
  assert.equal(await fluvio.setConsumerOffset(id, topic, 1, 3), 3);
  assert.equal(await fluvio.setConsumerOffset(id, topic, 1, 1), 3);
  assert.equal(await fluvio.setConsumerOffset(id, topic, 1, 1, { force: true }), 1);
  await fluvio.setConsumerOffset(id, topic, 0, 4);
  const listed = async () => (await fluvio.consumerOffsets(undefined, id)).map((position) => [position.topic, position.partition, position.offset]);
  assert.deepEqual(await listed(), [[topic, 0, 4], [topic, 1, 1]]);
  await fluvio.deleteConsumerOffset(id, topic, 0);
  assert.deepEqual(await listed(), [[topic, 1, 1]]);
  await assert.rejects(fluvio.setConsumerOffset(id, "no-such-topic", 0, 1), kind("TopicNotFound"));
  await assert.rejects(fluvio.setConsumerOffset(id, topic, 2, 1), (error) => error instanceof FluvioError && error.status < 500);
});

test("configs are checked when a consumer is made", async () => {
  const topic = await makeTopic(fluvio);
  const refused = (config) => assert.rejects(fluvio.consumerWithConfig({ topic, ...config }), kind("ConsumerConfig"));
  await refused({ offsetStrategy: "auto" });
  await refused({ maxBytes: 0 });
  await refused({ offsetConsumer: "c", offsetStrategy: "sometimes" });
  await refused({ retryMode: { tryUntil: -1 } });
  await assert.rejects(fluvio.consumerWithConfig({ topic, partitions: [1] }), kind("PartitionNotFound"));
});

test("what retention removed is told as a gap, or refused", async () => {
  const topic = await makeTopic(fluvio, { config: { cap_records: 2 } });
  await fill(topic, numbers(0, 6));
  await until(async () => (await fluvio.admin().findPartition(topic)).startOffset > 0);
  const { startOffset } = await fluvio.admin().findPartition(topic);
  const gaps = [];
  const config = { topic, offsetStart: Offset.Absolute(0), onGap: (gap) => gaps.push(gap) };
  const stream = await fluvio.consumerWithConfig(config);
  assert.equal((await stream.next()).value.offset(), startOffset);
  await stream.close();
  assert.deepEqual(gaps, [{ topic, partition: 0, fromOffset: 0, toOffset: startOffset }]);
  await assert.rejects(fluvio.consumerWithConfig({ ...config, retryMode: "disabled" }), (error) => error.kind === "OffsetEvicted" && error.nextAvailable === startOffset);
});

test("every place to begin at, behind what retention removed, with and without a stored position", async () => {
  const topic = await makeTopic(fluvio, { config: { cap_records: 10 } });
  await fill(topic, numbers(0, 15));
  const { startOffset: S, endOffset: E } = await fluvio.admin().findPartition(topic);
  assert.deepEqual([S > 0, E], [true, 15]);
  const C = S + 4;
  await fluvio.setConsumerOffset("known", topic, 0, C - 1);
  await fluvio.setConsumerOffset("early", topic, 0, 0);
  const begins = async (offsetStart, offsetConsumer) => {
    const offsets = [];
    for await (const record of await fluvio.consumerWithConfig({ topic, offsetStart, offsetConsumer, disableContinuous: true })) {
      offsets.push(record.offset());
    }
    assert.deepEqual(offsets, numbers(E - offsets.length, E).map(Number)); // without a hole up to the end
    return E - offsets.length;
  };
  for (const [offset, alone, known, early] of [
    [Offset.FromBeginning(), S, C, S],
    [Offset.FromBeginning(2), S + 2, C + 2, S],
    [Offset.FromBeginning(100), E, E, E],
    [Offset.FromEnd(), E, C, S],
    [Offset.FromEnd(2), E - 2, C - 2, S],
    [Offset.FromEnd(100), S, S, S],
    [Offset.Absolute(S + 1), S + 1, S + 1, S + 1],
    [Offset.Absolute(E), E, E, E],
    [Offset.Absolute(0), S, S, S],
  ]) {
    assert.deepEqual([await begins(offset), await begins(offset, "known"), await begins(offset, "early"), await begins(offset, "new")], [alone, known, early, alone]);
  }
  const beyond = fluvio.consumerWithConfig({ topic, offsetStart: Offset.Absolute(E + 1) });
  await assert.rejects(beyond, (error) => error.kind === "OffsetOutOfRange" && error.startOffset === S && error.endOffset === E && error.code === 1);
});

test("what retention removes between opening and reading is refused by the gateway, for who wants no gap", async () => {
  const topic = await makeTopic(fluvio, { config: { cap_records: 3 } });
  await fill(topic, numbers(0, 3));
  const stream = await fluvio.consumerWithConfig({ topic, retryMode: "disabled" });
  await fill(topic, numbers(3, 9));
  await assert.rejects(stream.next(), (error) => error.kind === "OffsetEvicted" && error.status === 410 && error.nextAvailable === 6);
});

test("a stream of a whole topic reads partitions that were added when it is opened again", async () => {
  const topic = await makeTopic(fluvio);
  const proxy = await startProxy();
  after(proxy.close);
  const stream = await (await connect({ url: proxy.url })).consumerWithConfig({ topic });
  await fill(topic, ["old"]);
  assert.equal((await stream.next()).value.valueString(), "old");
  await fluvio.admin().addPartitions(topic, 3);
  await fill(topic, ["new"], { partition: 2 });
  proxy.cutAll();
  const { value } = await stream.next();
  assert.deepEqual([value.partition(), value.valueString()], [2, "new"]);
  await stream.close();
});

test("a topic that has not changed is not sent again", async () => {
  const topic = await makeTopic(fluvio);
  const transport = new Transport({ base: URL_OF_GATEWAY, apiKey: undefined, fetch, tls: undefined });
  const known = await fetchTopic(transport, topic);
  assert.equal(await fetchTopic(transport, topic, undefined, known), known);
  await fill(topic, ["a"]);
  assert.equal((await fetchTopic(transport, topic, undefined, known)).partitionInfo[0].endOffset, 1);
});

test("topics are made, found, listed and deleted", async () => {
  const admin = fluvio.admin();
  const topic = await makeTopic(fluvio, { partitions: 2, replicationFactor: 1, ignoreRackAssignment: true, retentionTime: 60 });
  await assert.rejects(admin.createTopic(topic, { partitions: 2, retentionTime: 60 }), (error) => error.kind === "TopicAlreadyExists" && error.code === 2002);
  await assert.rejects(admin.createTopic(topic, { partitions: 3 }), kind("TopicAlreadyExists"));
  const info = await admin.findTopic(topic);
  assert.deepEqual([info.partitions, info.config.ttl_ms, info.partitionInfo.length], [2, 60_000, 2]);
  assert.ok((await admin.listTopic()).some(({ name, partitions }) => name === topic && partitions === 2));
  assert.equal((await admin.listPartitions(topic)).length, 2);
  assert.ok((await admin.listPartitions()).some((partition) => partition.topic === topic));
  assert.equal((await admin.findPartition(topic, 1)).endOffset, 0);
  assert.equal(await admin.findPartition(topic, 2), undefined);
  await admin.addPartitions(topic, 3);
  assert.equal((await admin.findTopic(topic)).partitions, 3);
  await admin.deleteTopic(topic);
  assert.equal(await admin.findTopic(topic), undefined);
  await assert.rejects(admin.deleteTopic(topic), kind("TopicNotFound"));
  await assert.rejects(admin.createTopic("-bad"), kind("InvalidConfiguration"));
});
