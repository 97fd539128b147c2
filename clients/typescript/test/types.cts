// Compiled, not run: the same from CommonJS.
import { Fluvio, Offset } from "@tidegate/client";

export const start = async (): Promise<number> => {
  const consumer = await (await Fluvio.connect()).partitionConsumer("t", 0);
  return (await consumer.fetch(Offset.FromEnd(1))).length;
};
