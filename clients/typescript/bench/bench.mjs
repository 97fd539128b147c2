// Measures the client against a gateway that runs: records of 100 bytes, one partition or as many as the topic has.
//   node bench/bench.mjs URL TOPIC [SECONDS]
// The topic must be there. Writes a line for each case: `producer|producer-zstd|producer-large|consumer  N records/s`.
import Fluvio, { FluvioError, Offset } from "@tidegate/client";

const [url, topic, seconds = "3"] = process.argv.slice(2);
const WORDS = ["tide", "gate", "harbour", "ebb", "flow", "moon", "channel", "lock"];

/** 100 bytes of words and numbers, as different from each other as lines of a log are. */
const VALUES = Array.from({ length: 1000 }, (_, n) => {
  let text = `${n}`;
  for (let i = n; text.length < 100; i += 3) {
    text += ` ${WORDS[i % WORDS.length]} ${(i * 7919) % 1009}`;
  }
  return text.slice(0, 100);
});

const fluvio = await Fluvio.connect({ url });
const report = (name, records, beganMs) =>
  console.log(`${name}  ${Math.round((records * 1000) / (performance.now() - beganMs))} records/s`);

async function produce(name, config) {
  const producer = await fluvio.topicProducerWithConfig(topic, config);
  const beganMs = performance.now();
  const endMs = beganMs + Number(seconds) * 1000;
  let sent = 0;
  while (performance.now() < endMs) {
    for (const value of VALUES) {
      await producer.send(null, value);
    }
    sent += VALUES.length;
  }
  await producer.close();
  report(name, sent, beganMs);
}

async function consume() {
  const consumer = await fluvio.allPartitionsConsumer(topic);
  const beganMs = performance.now();
  let seen = 0;
  let bytes = 0;
  for await (const record of await consumer.streamWithConfig(Offset.FromBeginning(), { disableContinuous: true })) {
    seen++;
    bytes += record.value().length;
  }
  if (bytes !== seen * 100) {
    throw new Error(`${seen} records have ${bytes} bytes: the topic must be empty at first`);
  }
  report("consumer", seen, beganMs);
}

await produce("producer", {});
await produce("producer-zstd", { compression: "zstd" }).catch((error) => {
  if (!(error instanceof FluvioError) || error.kind !== "Compression") {
    throw error;
  }
  console.error(`producer-zstd is left out: ${error.message}`);
});
await produce("producer-large", { batchSize: 112_000 }); // 1000 records, as many as a request of plain HTTP has
await consume();
