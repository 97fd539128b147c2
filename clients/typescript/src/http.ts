import { FluvioError, asFluvioError, errorOfAnswer, type ErrorFacts } from "./error.js";
import { nodeFetch, type ShortFetch, type ShortInit, type ShortResponse } from "./node_fetch.js";

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export interface TransportOptions {
  /** Origin and prefix, without a slash at the end. */
  base: string;
  apiKey: string | undefined;
  /** For everything; undefined: the platform's. */
  fetch: Fetch | undefined;
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
function readRetryAfter(headers: ShortResponse["headers"]): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) {
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

async function readError(response: ShortResponse, facts: ErrorFacts): Promise<FluvioError> {
  const text = await response.text();
  let error: ErrorJson = {};
  try {
    error = (JSON.parse(text) as { error?: ErrorJson }).error ?? {};
  } catch {
    // A proxy's own page; the status has to do.
  }
  return errorOfAnswer(response.status, error.code, error.message ?? `the gateway answered ${response.status}`, {
    ...facts,
    partition: facts.partition ?? error.detail?.partition,
    retryAfterMs: readRetryAfter(response.headers),
    nextAvailable: error.detail?.next_available,
    startOffset: error.detail?.start_offset,
    endOffset: error.detail?.end_offset,
  });
}

/** What TLS libraries call an answer that is not to be trusted, or is no TLS. */
const TLS_FAILURE = /CERT|SSL|TLS|UNABLE_TO_|EPROTO/;

/** fetch has one type for all that can happen to a connection; the cause tells, but not in browsers. */
function connectionError(base: string, thrown: Error, facts: ErrorFacts): FluvioError {
  const cause = thrown.cause as { code?: string; message?: string } | undefined;
  const reason = cause?.message || cause?.code || thrown.message;
  if (TLS_FAILURE.test(cause?.code ?? "")) {
    const advice = "check the address, and name the certificate's authority, in Node in NODE_EXTRA_CA_CERTS";
    return new FluvioError("Tls", `${base} is not to be trusted (${reason}); ${advice}`, { ...facts, cause: thrown });
  }
  return new FluvioError("Socket", `the connection to ${base} failed: ${reason}`, { ...facts, retryable: true, cause: thrown });
}

/** HTTP to one gateway: addresses, credentials, deadlines, and errors as FluvioError. */
export class Transport {
  readonly base: string;
  readonly #apiKey: string | undefined;
  readonly #fetch: Fetch;
  readonly #shortFetch: ShortFetch;

  constructor({ base, apiKey, fetch }: TransportOptions) {
    this.base = base;
    this.#apiKey = apiKey;
    this.#fetch = fetch ?? globalThis.fetch.bind(globalThis);
    this.#shortFetch = (fetch ? undefined : nodeFetch(base)) ?? (this.#fetch as ShortFetch);
  }

  /** Sends and reads the whole answer. Throws FluvioError: Socket, RequestTimedOut, or what the answer says. The caller's
   * own abort is thrown as its reason. */
  async request<T = unknown>(path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return this.#exchange(this.#shortFetch, path, options, async (response) => {
      const text = await response.text();
      const etag = response.headers.get("etag") ?? undefined;
      return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T, etag };
    });
  }

  /** Sends and gives the answer when it begins; from then on its body is the caller's, to read or to cancel. */
  async open(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.#exchange(this.#fetch, path, options, (response) => Promise.resolve(response));
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

  #init(options: RequestOptions, signal: AbortSignal): ShortInit & RequestInit {
    const headers: Record<string, string> = { ...options.headers };
    if (this.#apiKey !== undefined) {
      headers["Authorization"] = `Bearer ${this.#apiKey}`;
    }
    const init: ShortInit & RequestInit = { method: options.method ?? "GET", headers, signal, cache: "no-store" };
    if (options.json !== undefined) {
      headers["Content-Type"] ??= "application/json";
      init.body = JSON.stringify(options.json);
    } else if (options.body !== undefined) {
      init.body = options.body as string & BodyInit;
    }
    return init;
  }

  async #exchange<A extends ShortResponse, R>(
    fetch: (input: string, init: ShortInit & RequestInit) => Promise<A>,
    path: string,
    options: RequestOptions,
    read: (response: A) => Promise<R>,
  ): Promise<R> {
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
      const response = await fetch(this.#address(path, options.query), this.#init(options, controller.signal));
      if (!response.ok && response.status !== 304) {
        throw await readError(response, facts);
      }
      return await read(response);
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
      // Truncated JSON means that the connection was cut.
      if (thrown instanceof TypeError || thrown instanceof SyntaxError || (thrown as Error)?.name === "AbortError") {
        throw connectionError(this.base, thrown as Error, facts);
      }
      throw asFluvioError(thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

export const topicPath = (topic: string): string => `/topics/${encodeURIComponent(topic)}`;
