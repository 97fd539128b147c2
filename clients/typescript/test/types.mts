// Compiled, not run: what a program in TypeScript sees, without the browser's types.
import Fluvio, { FluvioError, Offset, type ConsumerStream, type Partitioner, type Record, type TopicProducerConfig } from "@tidegate/client";

const partitioner: Partitioner = { partition: (key, value, count) => (key?.length ?? value.length) % count };
const config: TopicProducerConfig = { lingerMs: 0, compression: "gzip", partitioner };

export async function main(signal: AbortSignal): Promise<void> {
  const fluvio: Fluvio = await Fluvio.connect({ host: "localhost", port: 5470 });
  const producer = await fluvio.topicProducerWithConfig("t", config);
  const output = await producer.send(Buffer.from("k"), "v", { timestamp: new Date() });
  const offset: number = (await output.wait()).offset;
  const stream: ConsumerStream = await fluvio.consumerWithConfig({ topic: "t", offsetStart: Offset.Absolute(offset), signal });
  for await (const record of stream) {
    const typed: Record = record;
    const key: Uint8Array | undefined = typed.key();
    void key;
  }
  // @ts-expect-error there is no such option
  await fluvio.topicProducerWithConfig("t", { linger: 0 });
  const error: unknown = new FluvioError("Closed", "");
  if (error instanceof FluvioError && error.kind === "TopicNotFound") {
    throw error;
  }
}
