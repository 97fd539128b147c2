/** What went wrong, for a program: the names are Fluvio's where Fluvio has one. */
export type ErrorKind =
  | "TopicNotFound"
  | "TopicAlreadyExists"
  | "PartitionNotFound"
  | "NegativeOffset"
  | "OffsetOutOfRange"
  | "OffsetEvicted"
  | "ConsumerConfig"
  | "ClientConfig"
  | "InvalidConfiguration"
  | "Socket"
  | "Tls"
  | "RequestTimedOut"
  | "PermissionDenied"
  | "RecordTooLarge"
  | "MessageTooLarge"
  | "PartitionFull"
  | "Compression"
  | "ProducerFenced"
  | "ProducerSequenceGap"
  | "ProduceRequestRetryTimeout"
  | "BatchQueueWaitTimeout"
  | "FlushTimeout"
  | "Closed"
  | "OffsetManagementDisabled"
  | "OffsetFlushRequestError"
  | "MaxRetryReached"
  | "Unavailable"
  | "AdminApi"
  | "Server"
  | "Internal";

const NUMBERS: Partial<Record<ErrorKind, number>> = {
  OffsetOutOfRange: 1,
  Unavailable: 6,
  RequestTimedOut: 7,
  MessageTooLarge: 10,
  RecordTooLarge: 10,
  PermissionDenied: 13,
  Server: 56,
  OffsetEvicted: 71,
  PartitionFull: 72,
  TopicNotFound: 2001,
  TopicAlreadyExists: 2002,
  InvalidConfiguration: 2004,
  OffsetFlushRequestError: 3003,
  OffsetManagementDisabled: 3004,
  MaxRetryReached: 3005,
  Compression: 9000,
};

export interface ErrorFacts {
  status?: number | undefined;
  serverCode?: string | undefined;
  topic?: string | undefined;
  partition?: number | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  nextAvailable?: number | undefined;
  startOffset?: number | undefined;
  endOffset?: number | undefined;
  causes?: FluvioError[] | undefined;
  cause?: unknown;
}

/** The one error type of this library. */
export class FluvioError extends Error {
  readonly kind: ErrorKind;
  /** Fluvio's number for it; 0 where it has none. */
  readonly code: number;
  /** HTTP status of the answer, if there was one. */
  readonly status: number | undefined;
  /** The gateway's stable code, as in its list of errors. */
  readonly serverCode: string | undefined;
  readonly topic: string | undefined;
  readonly partition: number | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** OffsetEvicted: the first offset that is still there. */
  readonly nextAvailable: number | undefined;
  /** OffsetOutOfRange: the first offset that is kept, and the next one to be assigned. */
  readonly startOffset: number | undefined;
  readonly endOffset: number | undefined;
  /** When several partitions failed: one error for each; this one repeats the first. */
  readonly causes: readonly FluvioError[];

  constructor(kind: ErrorKind, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "FluvioError";
    this.kind = kind;
    this.code = NUMBERS[kind] ?? 0;
    this.status = facts.status;
    this.serverCode = facts.serverCode;
    this.topic = facts.topic;
    this.partition = facts.partition;
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs;
    this.nextAvailable = facts.nextAvailable;
    this.startOffset = facts.startOffset;
    this.endOffset = facts.endOffset;
    this.causes = facts.causes ?? [];
  }
}

const KIND_OF_CODE: Record<string, ErrorKind> = {
  topic_not_found: "TopicNotFound",
  topic_exists_incompatible: "TopicAlreadyExists",
  unauthorized: "PermissionDenied",
  forbidden: "PermissionDenied",
  record_too_large: "RecordTooLarge",
  batch_too_large: "MessageTooLarge",
  payload_too_large: "MessageTooLarge",
  topic_full: "PartitionFull",
  producer_fenced: "ProducerFenced",
  producer_sequence_gap: "ProducerSequenceGap",
  unsupported_media_type: "Compression",
  offset_evicted: "OffsetEvicted",
  offset_out_of_range: "OffsetOutOfRange",
  topic_closed: "InvalidConfiguration",
  invalid_request: "InvalidConfiguration",
};

/** Statuses whose request may be sent again (contract of the producer: never another 4xx). */
const RETRYABLE = new Set([408, 425, 429, 502, 503, 504]);

/** Codes that pass, wherever they are said; a stream says them without a status. */
const PASSING_CODES = new Set(["throttled", "unavailable", "timeout", "not_ready", "shutting_down", "no_memory", "outcome_unknown"]);

/** The error that an answer of the gateway (or of a proxy before it) stands for. */
export function errorOfAnswer(status: number, serverCode: string | undefined, message: string, facts: ErrorFacts = {}): FluvioError {
  const retryable = RETRYABLE.has(status) || (serverCode !== undefined && PASSING_CODES.has(serverCode));
  let kind: ErrorKind = (serverCode !== undefined && KIND_OF_CODE[serverCode]) || "Server";
  if (kind === "Server" && (status === 401 || status === 403)) {
    kind = "PermissionDenied";
  } else if (kind === "Server" && (status === 408 || status === 504)) {
    kind = "RequestTimedOut";
  } else if (kind === "Server" && retryable) {
    kind = "Unavailable";
  }
  return new FluvioError(kind, message, { ...facts, status, serverCode, retryable });
}

/** Narrows what was thrown; anything else is a defect of this library and says so. */
export function asFluvioError(thrown: unknown): FluvioError {
  return thrown instanceof FluvioError
    ? thrown
    : new FluvioError("Internal", `unexpected: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
}
