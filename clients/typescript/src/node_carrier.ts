import type { Body, Carrier } from "./carrier.js";
import { FluvioError } from "./error.js";
import { builtIn } from "./platform.js";

/** Whom to trust, and as whom to be trusted; texts in PEM. In Node only: a browser has its own ways. */
export interface TlsOptions {
  /** Of the authorities to trust, instead of the platform's. */
  ca?: string;
  /** The client's own certificate, with its key. */
  cert?: string;
  key?: string;
  /** The name in the gateway's certificate, when the address has another. */
  domain?: string;
  /** false: whoever answers is trusted; for tests only. */
  verify?: boolean;
}

interface IncomingMessage extends AsyncIterable<Uint8Array> {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  setEncoding(encoding: "utf8"): void;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "data", listener: (text: string) => void): void;
  on(event: "end", listener: () => void): void;
  destroy(): void;
}

interface ClientRequest {
  on(event: "error", listener: (error: Error) => void): void;
  end(body?: string | Uint8Array): void;
}

interface HttpModule {
  Agent: new (options: object) => object;
  request(input: string, options: object, onResponse: (message: IncomingMessage) => void): ClientRequest;
}

interface TlsModule {
  createSecureContext(options: object): unknown;
}

/** After this, a connection that nobody uses is closed. */
const IDLE_MS = 4000;

const failure = (cause: Error) => new TypeError("the connection failed", { cause });

function readText(message: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    message.setEncoding("utf8");
    message.on("data", (part) => (text += part));
    message.on("error", (error) => reject(failure(error)));
    message.on("end", () => resolve(text));
  });
}

function openBody(message: IncomingMessage): Body {
  const pieces = message[Symbol.asyncIterator]();
  return { read: () => pieces.next(), cancel: () => message.destroy() };
}

/** As https.Agent wants them. Throws ClientConfig. */
function checkTls({ ca, cert, key, domain, verify }: TlsOptions): object {
  try {
    if ([ca, cert, key].some((text) => text !== undefined && !text.includes("-----BEGIN "))) {
      throw new Error("one does not look like PEM"); // OpenSSL passes over an authority that is none
    }
    builtIn<TlsModule>("tls")?.createSecureContext({ ca, cert, key });
  } catch (thrown) {
    const advice = "each is a text in PEM, not the name of a file, and cert needs its key";
    throw new FluvioError("ClientConfig", `the texts of tls cannot be used (${(thrown as Error).message}); ${advice}`, { cause: thrown });
  }
  return { ca, cert, key, servername: domain, rejectUnauthorized: verify ?? true };
}

/**
 * Node's own HTTP client: a request costs half the processor time of fetch, and a producer makes thousands. undefined
 * outside Node. `base` decides between http and https. Throws ClientConfig.
 */
export function nodeCarrier(base: string, tls: TlsOptions): Carrier | undefined {
  const http = builtIn<HttpModule>(base.startsWith("https:") ? "https" : "http");
  if (!http) {
    return undefined;
  }
  const agent = new http.Agent({ keepAlive: true, timeout: IDLE_MS, ...checkTls(tls) });
  return (url, { body, ...options }) =>
    new Promise((resolve, reject) => {
      const request = http.request(url, { ...options, agent }, (message) =>
        resolve({
          status: message.statusCode,
          header: (name) => message.headers[name]?.toString(),
          text: () => readText(message),
          body: () => openBody(message),
        }),
      );
      request.on("error", (error) => reject(failure(error)));
      request.end(body);
    });
}
