// Sends each line of standard input as a record, or writes each record of a topic as a line:
//   node examples/pipe.mjs produce TOPIC < lines
//   node examples/pipe.mjs consume TOPIC > lines
import { createInterface } from "node:readline";
import Fluvio, { Offset } from "@tidegate/client";

const [verb, topic] = process.argv.slice(2);
const fluvio = await Fluvio.connect();

if (verb === "produce") {
  const producer = await fluvio.topicProducer(topic);
  for await (const line of createInterface({ input: process.stdin })) {
    await producer.send(null, line);
  }
  await producer.close();
} else {
  const consumer = await fluvio.allPartitionsConsumer(topic);
  for (const record of await consumer.fetch(Offset.FromBeginning())) {
    console.log(record.valueString());
  }
}
