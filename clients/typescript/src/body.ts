/**
 * The pieces of a response body as they arrive. Ends with the body, after `silenceMs` without a byte, or when the signal
 * is aborted; whoever stops reading cancels the request.
 */
export async function* readPieces(body: ReadableStream<Uint8Array>, silenceMs: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", cancel, { once: true });
  try {
    while (!signal.aborted) {
      timer = setTimeout(cancel, silenceMs);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) {
        return;
      }
      yield value;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
