import { asFluvioError } from "./error.js";

/** When a batch that was not answered is sent again. */
export interface RetryPolicy {
  strategy?: "exponential" | "fixed" | "fibonacci";
  /** Tries after the first. 0: one try. */
  maxRetries?: number;
  initialDelayMs?: number;
  maxDelayMs?: number;
  /** For all tries together. */
  timeoutMs?: number;
  /** Spreads each delay over half to all of its length, so that many producers do not come back at once. */
  jitter?: boolean;
}

export const DEFAULT_RETRY: Required<RetryPolicy> = {
  strategy: "exponential",
  maxRetries: 4,
  initialDelayMs: 20,
  maxDelayMs: 200_000,
  timeoutMs: 300_000,
  jitter: false,
};

/** The delays, in order. Exponential multiplies by the initial delay itself, as Fluvio does: 20, 400, 8,000 … */
export function retryDelays(policy: Required<RetryPolicy>, random: () => number = Math.random): number[] {
  const delays: number[] = [];
  let delay = policy.initialDelayMs;
  let before = 0;
  for (let i = 0; i < policy.maxRetries; i++) {
    const capped = Math.min(delay, policy.maxDelayMs);
    delays.push(policy.jitter ? capped * (0.5 + random() / 2) : capped);
    if (policy.strategy === "exponential") {
      delay = Math.min(delay * policy.initialDelayMs, Number.MAX_SAFE_INTEGER);
    } else if (policy.strategy === "fibonacci") {
      [before, delay] = [delay, before + delay];
    }
  }
  return delays;
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Does it again, after each of the delays, for as long as it fails with what may pass. Throws FluvioError. */
export async function repeat<T>(task: () => Promise<T>, delaysMs: readonly number[]): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await task();
    } catch (thrown) {
      const error = asFluvioError(thrown);
      const delayMs = delaysMs[tries];
      if (!error.retryable || delayMs === undefined) {
        throw error;
      }
      await sleep(Math.max(delayMs, error.retryAfterMs ?? 0));
    }
  }
}
