// What needs no gateway: placing, sizes, delays, starts, configs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FluvioError, Offset, SiphashRoundRobinPartitioner, SpecificPartitioner, hashKey, partitionForKey } from "../dist/esm/index.js";
import { Fifo } from "../dist/esm/fifo.js";
import { BATCH_FIXED_BYTES, Batch, recordSize, varintSize } from "../dist/esm/batch.js";
import { parseProducerConfig, parseIsolation } from "../dist/esm/producer_config.js";
import { DEFAULT_RETRY, retryDelays } from "../dist/esm/retry.js";
import { mergeSources } from "../dist/esm/source.js";

const kind = (expected) => (error) => error instanceof FluvioError && error.kind === expected;

// key, hash, then the partition among 2, 3, 4, 5, 16 and 100
const VECTORS = [
  ["", "e849e8bb6ffe2567", 1, 2, 3, 4, 7, 19],
  ["1", "61580903e47368e6", 0, 1, 2, 4, 6, 34],
  ["2", "a7de8d28328e8c96", 0, 2, 2, 2, 6, 2],
  ["3", "64a20f97086eeda2", 0, 0, 2, 0, 2, 30],
  ["4", "519a590c490ead91", 1, 0, 1, 1, 1, 61],
  ["8", "144af4ad484232ff", 1, 0, 3, 4, 15, 99],
  ["a", "feb15081b68ca86b", 1, 1, 3, 2, 11, 87],
  ["rafael", "d71649290711ca56", 0, 0, 2, 3, 6, 78],
  ["samuel", "f4a330467079ad99", 1, 1, 1, 4, 9, 69],
  ["tabitha", "8bd215568451dccb", 1, 0, 3, 2, 11, 67],
  ["user-123", "8590a70f377cd237", 1, 0, 3, 3, 7, 43],
  ["user-456", "16ed48024288cc03", 1, 1, 3, 2, 3, 7],
  ["ключ", "92cd3338e703169d", 1, 1, 1, 1, 13, 81],
  ["0123456789abcdef", "c4d0363f590e0c1b", 1, 0, 3, 3, 11, 83],
  [Uint8Array.of(0x00, 0xff, 0x80, 0x0a), "b0f7aedb51f4f2c7", 1, 1, 3, 2, 7, 47],
];

test("keys hash and are placed as everywhere", () => {
  for (const [key, hash, ...partitions] of VECTORS) {
    assert.equal(hashKey(key).toString(16).padStart(16, "0"), hash, String(key));
    assert.deepEqual([2, 3, 4, 5, 16, 100].map((count) => partitionForKey(key, count)), partitions, String(key));
  }
});

test("the remainder is that of the whole 64 bits", () => {
  for (let i = 0; i < 500; i++) {
    const key = "k".repeat(i % 40) + i;
    for (const count of [1, 7, 1000, 1024]) {
      assert.equal(partitionForKey(key, count), Number(hashKey(key) % BigInt(count)));
    }
  }
});

test("bytes inside a larger buffer hash as they are", () => {
  const outer = new TextEncoder().encode("xxrafaelxx");
  assert.equal(hashKey(outer.subarray(2, 8)), hashKey("rafael"));
});

test("without a key, records take turns from the first partition on", () => {
  const partitioner = new SiphashRoundRobinPartitioner();
  const place = (key) => partitioner.partition(key, new Uint8Array(), 3);
  assert.deepEqual([place(), place(), place(new TextEncoder().encode("2")), place(), place()], [0, 1, 2, 2, 0]);
  assert.equal(new SpecificPartitioner(2).partition(), 2);
});

test("varints grow at 64 and 8,192", () => {
  assert.deepEqual([0, 63, 64, 8191, 8192, -1, -64, -65].map(varintSize), [1, 1, 2, 2, 3, 1, 1, 2]);
});

test("a record's size is that of Fluvio's encoding", () => {
  // length 1, attributes 1, time 1, index 1, key flag 1, value length 1, value, headers 1
  assert.equal(recordSize(-1, 10, 0, 0), 17);
  assert.equal(recordSize(5, 10, 0, 0), 17 + 1 + 5);
  assert.equal(recordSize(0, 10, 0, 0), 17 + 1);
  assert.equal(recordSize(-1, 10, 100, 64), 17 + 1 + 1);
  assert.equal(recordSize(-1, 64, 0, 0), 6 + 2 + 64 + 1); // the length itself needs two bytes
});

test("a batch ends where the next record would pass its size", () => {
  const record = { key: undefined, value: new Uint8Array(10), headers: new Uint8Array(), timestampMs: 5 };
  const size = BATCH_FIXED_BYTES + 2 * 17;
  const batch = new Batch(0, 5, 0, 0);
  batch.push(record);
  assert.ok(batch.fits(record, size));
  assert.ok(!batch.fits(record, size - 1));
  batch.push(record);
  assert.equal(batch.bytes, size);
  assert.ok(!batch.hasRoom(size));
  assert.ok(new Batch(0, 5, 0, 0).fits({ ...record, value: new Uint8Array(1e6) }, size));
});

test("delays of the three strategies", () => {
  const delays = (policy) => retryDelays({ ...DEFAULT_RETRY, ...policy });
  assert.deepEqual(delays({}), [20, 400, 8000, 160_000]);
  assert.deepEqual(delays({ initialDelayMs: 10, maxDelayMs: 500 }), [10, 100, 500, 500]);
  assert.deepEqual(delays({ strategy: "fibonacci", initialDelayMs: 10, maxRetries: 5 }), [10, 10, 20, 30, 50]);
  assert.deepEqual(delays({ strategy: "fixed", initialDelayMs: 7, maxRetries: 3 }), [7, 7, 7]);
  assert.deepEqual(delays({ maxRetries: 0 }), []);
  assert.deepEqual(retryDelays({ ...DEFAULT_RETRY, maxRetries: 1, jitter: true }, () => 0), [10]);
});

test("starts, with and without a stored position", () => {
  const at = (offset, stored) => offset.resolve({ start: 10, end: 20, stored }, "t", 0, false);
  assert.equal(at(Offset.FromBeginning()), 10);
  assert.equal(at(Offset.FromBeginning(3)), 13);
  assert.equal(at(Offset.FromBeginning(30)), 20);
  assert.equal(at(Offset.FromBeginning(1), 15), 16);
  assert.equal(at(Offset.FromEnd()), 20);
  assert.equal(at(Offset.FromEnd(1)), 19);
  assert.equal(at(Offset.FromEnd(30)), 10);
  assert.equal(at(Offset.FromEnd(), 15), 15);
  assert.equal(at(Offset.FromBeginning(), 4), 10);
  assert.equal(at(new Offset()), 20);
  assert.equal(at(new Offset({ index: 2, from: "beginning" })), 12);
  assert.equal(at(Offset.Absolute(12), 15), 12);
  assert.equal(at(Offset.Absolute(20n)), 20);
  assert.throws(() => at(Offset.Absolute(21)), kind("OffsetOutOfRange"));
  assert.throws(() => at(Offset.Absolute(9)), (error) => error.kind === "OffsetEvicted" && error.nextAvailable === 10 && error.code === 71);
  assert.equal(Offset.Absolute(9).resolve({ start: 10, end: 20 }, "t", 0, true), 9);
  assert.throws(() => Offset.Absolute(-1), kind("NegativeOffset"));
});

test("configs have the documented defaults and are checked", () => {
  const defaults = parseProducerConfig({});
  assert.deepEqual(
    [defaults.batchSize, defaults.maxRequestSize, defaults.batchQueueSize, defaults.lingerMs, defaults.compression, defaults.timeoutMs, defaults.deliverySemantic],
    [16_384, 1_048_576, 100, 100, "none", 1500, "at-least-once"],
  );
  for (const name of ["at_most_once", "at-most-once", "AtMostOnce", "atMostOnce", "atmostonce"]) {
    assert.equal(parseProducerConfig({ deliverySemantic: name }).deliverySemantic, "at-most-once");
  }
  for (const name of ["read_committed", "ReadCommitted", "readCommitted", "readcommitted"]) {
    assert.equal(parseIsolation(name), "read-committed");
  }
  assert.equal(parseProducerConfig({ compression: "GZIP" }).compression, "gzip");
  assert.throws(() => parseProducerConfig({ batchSize: 2000, maxRequestSize: 1000 }), kind("InvalidConfiguration"));
  assert.throws(() => parseProducerConfig({ lingerMs: -1 }), kind("InvalidConfiguration"));
  assert.throws(() => parseProducerConfig({ queueTimeoutMs: 2 ** 31 }), kind("InvalidConfiguration"));
  assert.throws(() => parseProducerConfig({ compression: "brotli" }), kind("Compression"));
});

test("a queue gives what came first", () => {
  const fifo = new Fifo();
  const got = [];
  assert.deepEqual([fifo.first, fifo.last, fifo.shift(), fifo.length], [undefined, undefined, undefined, 0]);
  for (let n = 0; n < 100; n++) {
    fifo.push(n);
    if (n % 3 > 0) {
      assert.equal(fifo.first, got.length);
      got.push(fifo.shift());
    }
  }
  assert.deepEqual([fifo.length, fifo.last], [100 - got.length, 99]);
  while (fifo.length > 0) {
    got.push(fifo.shift());
  }
  assert.deepEqual(got, Array.from({ length: 100 }, (_, n) => n));
});

test("what several sources give comes in their order, one that is silent holds none up, and a failure is the last", async () => {
  const source = async function* (...runs) {
    yield* runs;
  };
  const runs = async (merged) => {
    const got = [];
    for await (const run of merged) {
      got.push(run);
    }
    return got;
  };
  assert.deepEqual(await runs(mergeSources([source([1], [2]), source(), source([3], [4], [5])])), [[1], [3], [2], [4], [5]]);
  const silent = { next: () => new Promise(() => undefined) };
  const failing = (async function* () {
    yield [1];
    throw new Error("broken");
  })();
  const merged = mergeSources([silent, failing]);
  assert.deepEqual((await merged.next()).value, [1]);
  await assert.rejects(merged.next(), /broken/);
});
