import type { Body } from "./carrier.js";
import { FluvioError } from "./error.js";

/**
 * The pieces of a body as they arrive. Ends with the body, or when the signal is aborted; whoever stops reading cancels the
 * request. Throws Socket when the connection breaks, or nothing arrives for `silenceMs`.
 */
export async function* readPieces(body: Body, silenceMs: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
  const cancel = () => body.cancel();
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", cancel, { once: true });
  try {
    while (!signal.aborted) {
      timer = setTimeout(cancel, silenceMs);
      const { done, value } = await body.read();
      clearTimeout(timer);
      if (done || !value) {
        return;
      }
      yield value;
    }
  } catch (thrown) {
    if (!signal.aborted) {
      throw new FluvioError("Socket", `the connection broke: ${(thrown as Error).message}`, { retryable: true, cause: thrown });
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
