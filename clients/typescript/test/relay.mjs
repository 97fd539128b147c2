// A program for tests across languages; keys and values are hexadecimal, "-" is no key.
//   relay.mjs produce URL TOPIC COMPRESSION   sends each line `key TAB value` of standard input
//   relay.mjs consume URL TOPIC               writes `partition TAB offset TAB key TAB value` for all that is there
import { createInterface } from "node:readline";
import Fluvio, { Offset } from "../dist/esm/index.js";

const [verb, url, topic, compression] = process.argv.slice(2);
const fluvio = await Fluvio.connect({ url });
const hex = (bytes) => Buffer.from(bytes).toString("hex");

if (verb === "produce") {
  const producer = await fluvio.topicProducerWithConfig(topic, { compression });
  for await (const line of createInterface({ input: process.stdin })) {
    const [key, value] = line.split("\t");
    await producer.send(key === "-" ? null : Buffer.from(key, "hex"), Buffer.from(value, "hex"));
  }
  await producer.close();
} else {
  const consumer = await fluvio.allPartitionsConsumer(topic);
  for (const record of await consumer.fetch(Offset.FromBeginning())) {
    const key = record.hasKey() ? hex(record.key()) : "-";
    console.log([record.partition(), record.offset(), key, hex(record.value())].join("\t"));
  }
}
