import { FluvioError } from "./error.js";
import { topicPath, type Transport } from "./http.js";
import { fetchTopic, partitionOf, type PartitionInfo, type TopicInfo } from "./topic.js";

/** How a new topic is. */
export interface TopicSpec {
  /** 1. */
  partitions?: number;
  /** 1; kept and shown, replication itself is the database's. */
  replicationFactor?: number;
  /** Accepted for Fluvio's sake. */
  ignoreRackAssignment?: boolean;
  /** Seconds that records are kept, from 10; for ever when left out. */
  retentionTime?: number;
  /** Members of the gateway's own config, for instance { durability: "disk" }. */
  config?: Record<string, unknown>;
}

/** Fluvio's way of placing replicas by hand: one entry a partition. */
export interface TopicMaps {
  maps: readonly { id: number; replicas: readonly number[] }[];
}

export interface TopicSummary {
  name: string;
  partitions: number;
  replicationFactor: number;
}

interface TopicPage {
  topics: { name: string; partitions: number; replication_factor: number }[];
  next_cursor?: string | null;
}

/** Topics and partitions. Made by Fluvio.admin(). */
export class FluvioAdmin {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Throws TopicAlreadyExists, InvalidConfiguration, PermissionDenied. */
  async createTopic(name: string, spec: TopicSpec | TopicMaps = {}): Promise<void> {
    const plain: TopicSpec = "maps" in spec ? { partitions: spec.maps.length } : spec;
    if (plain.retentionTime !== undefined && !(plain.retentionTime >= 10)) {
      throw new FluvioError("InvalidConfiguration", `retentionTime is in seconds, from 10; this one is ${plain.retentionTime}`, { topic: name });
    }
    const config = {
      ...(plain.retentionTime === undefined ? {} : { ttl_ms: Math.round(plain.retentionTime * 1000) }),
      ...plain.config,
    };
    const { status } = await this.#transport.request("/topics", {
      method: "POST",
      json: { name, partitions: plain.partitions ?? 1, replication_factor: plain.replicationFactor ?? 1, config },
      topic: name,
    });
    if (status === 200) {
      throw new FluvioError("TopicAlreadyExists", `there is a topic "${name}" of this shape already`, { topic: name, status });
    }
  }

  /** Its records and positions go with it. Throws TopicNotFound. */
  async deleteTopic(name: string): Promise<void> {
    await this.#transport.request(topicPath(name), { method: "DELETE", topic: name });
  }

  /** Adds partitions; they cannot be removed. Keys are placed anew. */
  async addPartitions(name: string, partitions: number): Promise<void> {
    await this.#transport.request(topicPath(name), { method: "PATCH", json: { partitions }, topic: name });
  }

  /** undefined when there is none. */
  async findTopic(name: string): Promise<TopicInfo | undefined> {
    try {
      return await fetchTopic(this.#transport, name);
    } catch (thrown) {
      if (thrown instanceof FluvioError && thrown.kind === "TopicNotFound") {
        return undefined;
      }
      throw thrown;
    }
  }

  /** All that the credential may see, by name. */
  async listTopic(): Promise<TopicSummary[]> {
    const topics: TopicSummary[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await this.#transport.request<TopicPage>("/topics", { query: { page_size: 1000, cursor } });
      topics.push(...body.topics.map((topic) => ({ name: topic.name, partitions: topic.partitions, replicationFactor: topic.replication_factor })));
      cursor = body.next_cursor ?? undefined;
    } while (cursor !== undefined);
    return topics;
  }

  /** Of one topic, or of all. */
  async listPartitions(topic?: string): Promise<(PartitionInfo & { topic: string })[]> {
    const names = topic === undefined ? (await this.listTopic()).map((summary) => summary.name) : [topic];
    const partitions: (PartitionInfo & { topic: string })[] = [];
    for (const name of names) {
      const info = topic === undefined ? await this.findTopic(name) : await fetchTopic(this.#transport, name);
      partitions.push(...(info?.partitionInfo ?? []).map((partition) => ({ topic: name, ...partition })));
    }
    return partitions;
  }

  /** undefined when there is none. */
  async findPartition(topic: string, partition = 0): Promise<PartitionInfo | undefined> {
    const info = await this.findTopic(topic);
    return info && partition < info.partitions ? partitionOf(info, partition) : undefined;
  }
}
