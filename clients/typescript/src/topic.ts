import { FluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";

export interface PartitionInfo {
  partition: number;
  /** First offset that is kept. */
  startOffset: number;
  /** The next offset to be assigned. */
  endOffset: number;
  records: number;
  bytes: number;
}

export interface TopicInfo {
  name: string;
  partitions: number;
  replicationFactor: number;
  /** ms since 1970. */
  createdAt: number;
  /** As the gateway has it. */
  config: Record<string, unknown>;
  partitionInfo: PartitionInfo[];
  /** The gateway's mark for all this: another one when something has changed. */
  etag: string | undefined;
}

interface TopicJson {
  name: string;
  partitions: number;
  replication_factor: number;
  created_at: number;
  config: Record<string, unknown>;
  partition_info: { partition: number; start_offset: number; end_offset: number; records: number; bytes: number }[];
}

/** `known` is given back when it still holds. Throws TopicNotFound, and what Transport.request throws. */
export async function fetchTopic(transport: Transport, name: string, signal?: AbortSignal, known?: TopicInfo): Promise<TopicInfo> {
  if (name === "") {
    throw new FluvioError("TopicNotFound", "the name of a topic must not be empty");
  }
  const headers: Record<string, string> = known?.etag === undefined ? {} : { "If-None-Match": known.etag };
  const { status, body, etag } = await transport.request<TopicJson>(topicPath(name), { topic: name, signal, headers });
  if (known && status === 304) {
    return known;
  }
  return {
    name: body.name,
    partitions: body.partitions,
    replicationFactor: body.replication_factor,
    createdAt: body.created_at,
    config: body.config,
    partitionInfo: body.partition_info.map((info) => ({
      partition: info.partition,
      startOffset: info.start_offset,
      endOffset: info.end_offset,
      records: info.records,
      bytes: info.bytes,
    })),
    etag,
  };
}

export function partitionOf(topic: TopicInfo, partition: number): PartitionInfo {
  const info = topic.partitionInfo.find((candidate) => candidate.partition === partition);
  if (!info) {
    throw new FluvioError(
      "PartitionNotFound",
      `"${topic.name}" has the partitions 0 to ${topic.partitions - 1}, not ${partition}`,
      { topic: topic.name, partition },
    );
  }
  return info;
}
