/** The body of an answer as it arrives. */
export interface Body {
  /** The next piece. One at a time. Fails when the connection breaks. */
  read(): Promise<{ done?: boolean | undefined; value?: Uint8Array | undefined }>;
  /** Ends the request; a read under way ends or fails. */
  cancel(): void;
}

/** An answer that has begun; either text() or body() takes the rest of it. */
export interface Reply {
  status: number;
  header(name: string): string | undefined;
  text(): Promise<string>;
  body(): Body;
}

export interface CarriedRequest {
  method: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  body?: string | Uint8Array;
}

/** Sends a request. Until the answer has begun, and in text(), fails with a TypeError, whose cause may tell more. */
export type Carrier = (url: string, request: CarriedRequest) => Promise<Reply>;

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export function fetchCarrier(fetch: Fetch): Carrier {
  return async (url, request) => {
    const response = await fetch(url, { ...request, cache: "no-store" } as RequestInit);
    return {
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      text: () => response.text(),
      body: () => {
        const reader = response.body!.getReader();
        return { read: () => reader.read(), cancel: () => void reader.cancel().catch(() => undefined) };
      },
    };
  };
}
