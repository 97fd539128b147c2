// Sends numbers to a topic, reads them at the same time and marks them as done, until standard input ends; then everything
// that was sent must have been stored and read once, in order. Writes `acknowledged N` on the way.
//   node test/steady.mjs URL TOPIC
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import Fluvio from "../dist/esm/index.js";
import { until } from "./harness.mjs";

const [url, topic] = process.argv.slice(2);
const fluvio = await Fluvio.connect({ url });
const retry = { strategy: "fixed", initialDelayMs: 100, maxRetries: 600 };
let acknowledged = 0;
const onBatch = ({ records }) => console.log(`acknowledged ${(acknowledged += records)}`);
const producer = await fluvio.topicProducerWithConfig(topic, { lingerMs: 5, queueTimeoutMs: 120_000, retry, onBatch });
const stream = await fluvio.consumerWithConfig({ topic, offsetConsumer: "steady", offsetStrategy: "manual" });
const read = [];

/** Marks what was read as done, and stores that. A gateway may be away for longer than one flush waits; the mark stays. */
async function commit() {
  stream.offsetCommit();
  for (let isStored = false; !isStored; ) {
    isStored = await stream.offsetFlush().then(
      () => true,
      (error) => assert.ok(error.kind === "OffsetFlushRequestError" && error.retryable, error),
    );
  }
}

const reading = (async () => {
  for await (const record of stream) {
    read.push(record);
    if (read.length % 50 === 0) {
      await commit();
    }
  }
})();

let isOver = false;
process.stdin.on("end", () => (isOver = true)).resume();
let sent = 0;
while (!isOver) {
  await producer.send(null, String(sent++));
  if (sent % 20 === 0) {
    await sleep(1);
  }
}
await producer.close();
await until(() => read.length >= sent);
await commit();
await stream.close();
await reading;
const done = await fluvio.consumerOffsets(topic);
assert.equal(done.reduce((sum, { offset }) => sum + offset + 1, 0), sent);

const stored = await (await fluvio.allPartitionsConsumer(topic)).fetch();
for (const records of [read, stored]) {
  const numbers = records.map((record) => Number(record.valueString()));
  assert.deepEqual([...numbers].sort((a, b) => a - b), Array.from({ length: sent }, (_, n) => n));
  for (const partition of new Set(records.map((record) => record.partition()))) {
    const own = numbers.filter((_, n) => records[n].partition() === partition);
    assert.deepEqual(own, [...own].sort((a, b) => a - b));
  }
}
