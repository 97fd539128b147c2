/**
 * The lines of a response body, as many at a time as arrived together; a line that was cut off is not given. Ends with
 * the body, after `silenceMs` without a byte, or when the signal is aborted; whoever stops reading cancels the request.
 */
export async function* readLines(body: ReadableStream<Uint8Array>, silenceMs: number, signal: AbortSignal): AsyncGenerator<string[], void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const cancel = () => void reader.cancel().catch(() => undefined);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let parts: string[] = []; // of a line that is not complete yet
  signal.addEventListener("abort", cancel, { once: true });
  try {
    while (!signal.aborted) {
      timer = setTimeout(cancel, silenceMs);
      const { done, value } = await reader.read();
      clearTimeout(timer);
      if (done) {
        return;
      }
      const lines = decoder.decode(value, { stream: true }).split("\n");
      parts.push(lines.shift()!);
      if (lines.length > 0) {
        const rest = lines.pop()!;
        lines.unshift(parts.join(""));
        parts = [rest];
        yield lines;
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
