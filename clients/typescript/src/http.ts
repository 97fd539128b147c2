import { FluvioError, asFluvioError, errorOfAnswer, type ErrorFacts } from "./error.js";

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export interface TransportOptions {
  /** Origin and prefix, without a slash at the end. */
  base: string;
  apiKey: string | undefined;
  fetch: Fetch;
}

export interface RequestOptions {
  method?: string;
  query?: Record<string, string | number | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Until the answer is complete (for open(): until it begins). 0: no limit. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  /** What the request is about, for errors. */
  topic?: string;
  partition?: number;
}

export interface Answer<T> {
  status: number;
  body: T;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** Retry-After in seconds or as a date. */
function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) {
    return undefined;
  }
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

async function readError(response: Response, facts: ErrorFacts): Promise<FluvioError> {
  const text = await response.text();
  let code: string | undefined;
  let message = `the gateway answered ${response.status}`;
  try {
    const parsed = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    code = typeof parsed.error?.code === "string" ? parsed.error.code : undefined;
    message = typeof parsed.error?.message === "string" ? parsed.error.message : message;
  } catch {
    // A proxy's own page; the status has to do.
  }
  return errorOfAnswer(response.status, code, message, { ...facts, retryAfterMs: readRetryAfter(response.headers) });
}

/** HTTP to one gateway: addresses, credentials, deadlines, and errors as FluvioError. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get base(): string {
    return this.#options.base;
  }

  /** Sends and reads the whole answer. Throws FluvioError: Socket, RequestTimedOut, or what the answer says. The caller's
   * own abort is thrown as its reason. */
  async request<T = unknown>(path: string, options: RequestOptions = {}): Promise<Answer<T>> {
    return this.#exchange(path, { timeoutMs: DEFAULT_TIMEOUT_MS, ...options }, async (response) => {
      const text = await response.text();
      return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T };
    });
  }

  /** Sends and gives the answer when it begins; from then on its body is the caller's, to read or to cancel. */
  async open(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.#exchange(path, { timeoutMs: DEFAULT_TIMEOUT_MS, ...options }, (response) => Promise.resolve(response));
  }

  #address(path: string, query: RequestOptions["query"]): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) {
        parameters.set(name, String(value));
      }
    }
    const text = parameters.toString();
    return `${this.#options.base}${path}${text === "" ? "" : `?${text}`}`;
  }

  #init(options: RequestOptions, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { ...options.headers };
    if (this.#options.apiKey !== undefined) {
      headers["Authorization"] = `Bearer ${this.#options.apiKey}`;
    }
    const init: RequestInit = { method: options.method ?? "GET", headers, signal, cache: "no-store" };
    if (options.json !== undefined) {
      headers["Content-Type"] ??= "application/json";
      init.body = JSON.stringify(options.json);
    } else if (options.body !== undefined) {
      init.body = options.body as BodyInit;
    }
    return init;
  }

  async #exchange<R>(path: string, options: RequestOptions, read: (response: Response) => Promise<R>): Promise<R> {
    const facts = { topic: options.topic, partition: options.partition };
    const { signal } = options;
    signal?.throwIfAborted();
    // One controller of our own: a long stream must not pile up listeners on the caller's signal.
    const controller = new AbortController();
    const onAbort = () => controller.abort(signal!.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    let timedOut = false;
    const timer = options.timeoutMs
      ? setTimeout(() => {
          timedOut = true;
          controller.abort();
        }, options.timeoutMs)
      : undefined;
    try {
      const response = await this.#options.fetch(this.#address(path, options.query), this.#init(options, controller.signal));
      if (!response.ok) {
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
        throw new FluvioError("RequestTimedOut", `no answer from ${this.base} within ${options.timeoutMs} ms`, {
          ...facts,
          retryable: true,
          cause: thrown,
        });
      }
      // fetch has one type for all that can happen to a connection, and truncated JSON means that it was cut.
      if (thrown instanceof TypeError || thrown instanceof SyntaxError || (thrown as Error)?.name === "AbortError") {
        const reason = (thrown as { cause?: Error }).cause?.message ?? (thrown as Error).message;
        throw new FluvioError("Socket", `the connection to ${this.base} failed: ${reason}`, { ...facts, retryable: true, cause: thrown });
      }
      throw asFluvioError(thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

export const topicPath = (topic: string): string => `/topics/${encodeURIComponent(topic)}`;
