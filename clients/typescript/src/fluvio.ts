import { FluvioAdmin } from "./admin.js";
import type { Fetch } from "./carrier.js";
import { findCodec, type Codecs } from "./codec.js";
import { MultiplePartitionConsumer, openConsumer, PartitionConsumer, type ConsumerConfigExt } from "./consumer.js";
import { FluvioError } from "./error.js";
import { Transport } from "./http.js";
import type { TlsOptions } from "./node_carrier.js";
import { deletePositions, listPositions, storePositions, type ConsumerOffset } from "./positions.js";
import { environment } from "./platform.js";
import { loadProfile } from "./profile.js";
import { TopicProducer } from "./producer.js";
import { parseProducerConfig, type TopicProducerConfig } from "./producer_config.js";
import type { ConsumerStream } from "./stream.js";
import { fetchTopic, partitionOf } from "./topic.js";

export interface FluvioOptions {
  /** localhost. */
  host?: string;
  /** 5470. */
  port?: number;
  /** https instead of http, with host and port; the texts of certificates also with url and profile, in Node. */
  tls?: boolean | TlsOptions;
  /** The whole address, instead of host, port and tls; may have a path. */
  url?: string;
  /** One of the profiles that the command line keeps, instead of an address. */
  profile?: string;
  /** A key or a token; sent as Authorization: Bearer. */
  apiKey?: string;
  /** Instead of the platform's. */
  fetch?: Fetch;
  /** Compressions that the platform lacks, for instance { lz4: (bytes) => compressFrame(bytes) }. */
  codecs?: Codecs;
}

const DEFAULT_PORT = 5470;

function parseAddress(text: string): string {
  let url: URL;
  try {
    url = new URL(text.includes("://") ? text : `http://${text}`);
  } catch (thrown) {
    throw new FluvioError("ClientConfig", `"${text}" is no address; give one such as http://localhost:${DEFAULT_PORT}`, { cause: thrown });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new FluvioError("ClientConfig", `the address must begin with http:// or https://, not ${url.protocol}//`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

/** What the options say; else the environment; else the current profile; else the gateway of this machine. */
function findGateway(options: FluvioOptions): { base: string; apiKey: string | undefined } {
  const isGiven = options.host !== undefined || options.port !== undefined || typeof options.tls === "boolean";
  const own = `${options.tls ? "https" : "http"}://${options.host ?? "localhost"}:${options.port ?? DEFAULT_PORT}`;
  const stated = options.url ?? (isGiven ? own : options.profile === undefined ? environment("TIDEGATE_URL") : undefined);
  const profile = stated === undefined ? loadProfile(options.profile) : undefined;
  const apiKey = options.apiKey ?? environment("TIDEGATE_API_KEY") ?? profile?.key;
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new FluvioError("ClientConfig", "a key or token has no blanks and no letters beyond ASCII; copy it again");
  }
  return { base: parseAddress(stated ?? profile?.endpoint ?? own), apiKey };
}

/** A connection to a gateway, from which producers, consumers and the admin are made. */
export class Fluvio {
  readonly #transport: Transport;
  readonly #codecs: Codecs;
  #isConnected = false;

  /** Nothing is sent before connect(). Throws ClientConfig. */
  constructor(options: FluvioOptions = {}) {
    const tls = typeof options.tls === "object" ? options.tls : undefined;
    this.#transport = new Transport({ ...findGateway(options), fetch: options.fetch, tls });
    this.#codecs = options.codecs ?? {};
  }

  static async connect(options: FluvioOptions = {}): Promise<Fluvio> {
    return new Fluvio(options).connect();
  }

  /** Asks the gateway whether it is there and knows the key. Throws Socket, Unavailable, PermissionDenied. */
  async connect(): Promise<this> {
    try {
      await this.#transport.request("/topics", { query: { page_size: 1 } });
    } catch (thrown) {
      // A valid key may still not be allowed to list.
      if (!(thrown instanceof FluvioError) || thrown.status !== 403) {
        throw thrown;
      }
    }
    this.#isConnected = true;
    return this;
  }

  #connected(): Transport {
    if (!this.#isConnected) {
      throw new FluvioError("ClientConfig", "not connected; await connect() first");
    }
    return this.#transport;
  }

  /** Throws TopicNotFound: topics are not made by producing. */
  topicProducer(topic: string): Promise<TopicProducer> {
    return this.topicProducerWithConfig(topic, {});
  }

  /** Throws TopicNotFound, InvalidConfiguration, Compression. */
  async topicProducerWithConfig(topic: string, config: TopicProducerConfig): Promise<TopicProducer> {
    const transport = this.#connected();
    const settings = parseProducerConfig(config);
    const codec = await findCodec(settings.compression, this.#codecs);
    return new TopicProducer(transport, await fetchTopic(transport, topic), settings, codec);
  }

  /** Throws TopicNotFound, PartitionNotFound. */
  async partitionConsumer(topic: string, partition = 0): Promise<PartitionConsumer> {
    const transport = this.#connected();
    partitionOf(await fetchTopic(transport, topic), partition);
    return new PartitionConsumer(transport, topic, partition);
  }

  /** All partitions of a topic. Throws TopicNotFound. */
  async allPartitionsConsumer(topic: string): Promise<MultiplePartitionConsumer> {
    const transport = this.#connected();
    await fetchTopic(transport, topic);
    return new MultiplePartitionConsumer(transport, [[topic, undefined]]);
  }

  /** Partitions of any topics. Throws TopicNotFound, PartitionNotFound. */
  async multiTopicPartitionConsumer(wanted: readonly (readonly [topic: string, partition: number])[]): Promise<MultiplePartitionConsumer> {
    const transport = this.#connected();
    const partitions = new Map<string, number[]>();
    for (const [topic, partition] of wanted) {
      partitions.set(topic, [...(partitions.get(topic) ?? []), partition]);
    }
    for (const [topic, list] of partitions) {
      const info = await fetchTopic(transport, topic);
      list.forEach((partition) => partitionOf(info, partition));
    }
    return new MultiplePartitionConsumer(transport, [...partitions]);
  }

  /** The stream to read with: it resumes, and as a named consumer it keeps its place. Throws ConsumerConfig, TopicNotFound … */
  async consumerWithConfig(config: ConsumerConfigExt): Promise<ConsumerStream> {
    return openConsumer(this.#connected(), config);
  }

  /** What named consumers have stored, over all topics or in one; of one consumer or of all. */
  async consumerOffsets(topic?: string, consumerId?: string): Promise<ConsumerOffset[]> {
    const all = await listPositions(this.#connected(), consumerId);
    return topic === undefined ? all : all.filter((position) => position.topic === topic);
  }

  /**
   * Says what the last record is that a named consumer has done with, and gives what is stored then: a position goes back
   * with `force` only. Throws TopicNotFound, PartitionNotFound.
   */
  async setConsumerOffset(consumerId: string, topic: string, partition: number, offset: number, options: { force?: boolean } = {}): Promise<number> {
    const stored = await storePositions(this.#connected(), topic, consumerId, [[partition, offset + 1]], options.force);
    return stored.get(partition)! - 1;
  }

  /** Forgets the position of a named consumer in a partition, or in all of a topic. */
  async deleteConsumerOffset(consumerId: string, topic: string, partition?: number): Promise<void> {
    await deletePositions(this.#connected(), topic, consumerId, partition);
  }

  admin(): FluvioAdmin {
    return new FluvioAdmin(this.#connected());
  }
}
