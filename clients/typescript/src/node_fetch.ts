import { builtIn } from "./platform.js";

/** Of fetch and of its answers what requests with a short answer need. */
export interface ShortResponse {
  ok: boolean;
  status: number;
  headers: { get(name: string): string | null };
  text(): Promise<string>;
}

export interface ShortInit {
  method: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  body?: string | Uint8Array;
}

export type ShortFetch = (input: string, init: ShortInit) => Promise<ShortResponse>;

interface Emitter {
  on(event: "error", listener: (error: Error) => void): void;
}

interface IncomingMessage extends Emitter {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  setEncoding(encoding: "utf8"): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "data", listener: (text: string) => void): void;
  on(event: "end", listener: () => void): void;
}

interface ClientRequest extends Emitter {
  end(body?: string | Uint8Array): void;
}

interface HttpModule {
  Agent: new (options: object) => object;
  request(input: string, options: object, onResponse: (message: IncomingMessage) => void): ClientRequest;
}

/** What fetch does with connections nobody uses. */
const IDLE_MS = 4000;

/**
 * Node's own HTTP client in the clothes of fetch: a request costs half the processor time, and a producer makes thousands.
 * Fails with what fetch fails with. undefined outside Node. `base` decides between http and https.
 */
export function nodeFetch(base: string): ShortFetch | undefined {
  const http = builtIn<HttpModule>(base.startsWith("https:") ? "https" : "http");
  const agent = http && new http.Agent({ keepAlive: true, timeout: IDLE_MS });
  return (
    http &&
    ((input, { body, ...options }) =>
      new Promise((resolve, reject) => {
        const fail = (cause: Error) => reject(new TypeError("fetch failed", { cause }));
        const request = http.request(input, { ...options, agent }, (message) => {
          let text = "";
          message.setEncoding("utf8");
          message.on("data", (part) => (text += part));
          message.on("error", fail);
          message.on("end", () => {
            const status = message.statusCode;
            const get = (name: string) => message.headers[name]?.toString() ?? null;
            resolve({ ok: status >= 200 && status < 300, status, headers: { get }, text: () => Promise.resolve(text) });
          });
        });
        request.on("error", fail);
        request.end(body);
      }))
  );
}
