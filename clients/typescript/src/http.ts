import { type Body, type CarriedRequest, type Carrier, type Fetch, fetchCarrier, type Reply } from "./carrier.js";
import { FluvioError, asFluvioError, errorOfAnswer, type ErrorFacts } from "./error.js";
import { nodeCarrier, type TlsOptions } from "./node_carrier.js";

export interface TransportOptions {
  /** Origin and prefix, without a slash at the end. */
  base: string;
  apiKey: string | undefined;
  /** undefined: the platform's. */
  fetch: Fetch | undefined;
  tls: TlsOptions | undefined;
}

export interface RequestOptions {
  method?: string;
  query?: Record<string, string | number | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Until the answer is complete (for open(): until it begins). 30,000. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  /** What the request is about, for errors. */
  topic?: string;
  partition?: number | undefined;
}

export interface Answer<T> {
  status: number;
  body: T;
  /** Of what was answered, where the gateway gives one and the browser shows it. */
  etag: string | undefined;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** Retry-After in seconds or as a date. */
function readRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

interface ErrorJson {
  code?: string;
  message?: string;
  detail?: { partition?: number; next_available?: number; start_offset?: number; end_offset?: number };
}

async function readError(base: string, reply: Reply, facts: ErrorFacts): Promise<FluvioError> {
  const text = await reply.text();
  let error: ErrorJson = {};
  try {
    error = (JSON.parse(text) as { error?: ErrorJson }).error ?? {};
  } catch {
    // A proxy's own page; the status has to do.
  }
  const unexplained = `${base} answered ${reply.status} and not why; check the address, and what is before the gateway`;
  return errorOfAnswer(reply.status, error.code, error.message ?? unexplained, {
    ...facts,
    partition: facts.partition ?? error.detail?.partition,
    retryAfterMs: readRetryAfter(reply.header("retry-after")),
    nextAvailable: error.detail?.next_available,
    startOffset: error.detail?.start_offset,
    endOffset: error.detail?.end_offset,
  });
}

/** What TLS libraries call an answer that is not to be trusted, or is no TLS. */
const TLS_FAILURE = /CERT|SSL|TLS|UNABLE_TO_|EPROTO/;

/** One type stands for all that can happen to a connection; its cause tells, but not in browsers. */
function connectionError(base: string, thrown: Error, facts: ErrorFacts): FluvioError {
  const cause = thrown.cause as { code?: string; message?: string } | undefined;
  const reason = cause?.message || cause?.code || thrown.message;
  if (TLS_FAILURE.test(cause?.code ?? "")) {
    const advice = "check the address, and give the certificate's authority, in Node as tls.ca or in NODE_EXTRA_CA_CERTS";
    return new FluvioError("Tls", `${base} is not to be trusted (${reason}); ${advice}`, { ...facts, cause: thrown });
  }
  const advice = "check the address, and whether the gateway runs";
  return new FluvioError("Socket", `the connection to ${base} failed (${reason}); ${advice}`, { ...facts, retryable: true, cause: thrown });
}

/** Throws ClientConfig. */
function chooseCarrier({ base, fetch, tls }: TransportOptions): Carrier {
  const own = fetch ? undefined : nodeCarrier(base, tls ?? {});
  if (tls && !(own && base.startsWith("https:"))) {
    throw new FluvioError("ClientConfig", "the texts of tls are for an https address, in Node, and not for a fetch of your own; leave them out");
  }
  return own ?? fetchCarrier(fetch ?? globalThis.fetch.bind(globalThis));
}

/** HTTP to one gateway: addresses, credentials, deadlines, and errors as FluvioError. */
export class Transport {
  readonly base: string;
  readonly #apiKey: string | undefined;
  readonly #carry: Carrier;

  /** Throws ClientConfig. */
  constructor(options: TransportOptions) {
    this.base = options.base;
    this.#apiKey = options.apiKey;
    this.#carry = chooseCarrier(options);
  }

  /** Sends and reads the whole answer. Throws FluvioError: Socket, RequestTimedOut, or what the answer says. The caller's
   * own abort is thrown as its reason. */
  async request<T = unknown>(path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return this.#exchange(path, options, async (reply) => {
      const text = await reply.text();
      return { status: reply.status, body: (text === "" ? undefined : JSON.parse(text)) as T, etag: reply.header("etag") };
    });
  }

  /** Sends and gives the body of the answer when it begins; from then on it is the caller's, to read or to cancel. */
  async open(path: string, options: RequestOptions = {}): Promise<Body> {
    return this.#exchange(path, options, (reply) => Promise.resolve(reply.body()));
  }

  #address(path: string, query: RequestOptions["query"]): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) {
        parameters.set(name, String(value));
      }
    }
    const text = parameters.toString();
    return `${this.base}${path}${text === "" ? "" : `?${text}`}`;
  }

  #prepare(options: RequestOptions, signal: AbortSignal): CarriedRequest {
    const headers: Record<string, string> = { ...options.headers };
    if (this.#apiKey !== undefined) {
      headers["Authorization"] = `Bearer ${this.#apiKey}`;
    }
    const request: CarriedRequest = { method: options.method ?? "GET", headers, signal };
    if (options.json !== undefined) {
      headers["Content-Type"] ??= "application/json";
      request.body = JSON.stringify(options.json);
    } else if (options.body !== undefined) {
      request.body = options.body;
    }
    return request;
  }

  async #exchange<R>(path: string, options: RequestOptions, read: (reply: Reply) => Promise<R>): Promise<R> {
    const facts = { topic: options.topic, partition: options.partition };
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    signal?.throwIfAborted();
    // One controller of our own: a long stream must not pile up listeners on the caller's signal.
    const controller = new AbortController();
    const onAbort = () => controller.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      controller.abort();
    }, timeoutMs);
    try {
      const reply = await this.#carry(this.#address(path, options.query), this.#prepare(options, controller.signal));
      if (reply.status >= 300 && reply.status !== 304) {
        throw await readError(this.base, reply, facts);
      }
      return await read(reply);
    } catch (thrown) {
      if (signal?.aborted) {
        throw signal.reason;
      }
      if (thrown instanceof FluvioError) {
        throw thrown;
      }
      if (timedOut) {
        throw new FluvioError("RequestTimedOut", `no answer from ${this.base} within ${timeoutMs} ms`, {
          ...facts,
          retryable: true,
          cause: thrown,
        });
      }
      if (thrown instanceof SyntaxError) {
        // Or a page that a proxy shows for a while: a batch is not to be lost for that.
        const message = `what answers at ${this.base} is no Tidegate gateway; check the address`;
        throw new FluvioError("Server", message, { ...facts, retryable: true, cause: thrown });
      }
      if (thrown instanceof TypeError) {
        throw connectionError(this.base, thrown, facts);
      }
      throw asFluvioError(thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

export const topicPath = (topic: string): string => `/topics/${encodeURIComponent(topic)}`;
