import { readInt64, utf8Decode, writeInt64 } from "./bytes.js";
import { FluvioError } from "./error.js";
import { Record, RECORD_FIELD_BYTES, type Run } from "./record.js";

/*
 * Messages as bytes, as docs/streaming.md says under "Packets": a u32 length, a u8 type, and the rest by its type; numbers
 * are big-endian.
 */
export const PACKETS = "application/vnd.tidegate.records";

const RECORD = 1;
const GAP = 2;
const CAUGHT_UP = 3;
const EVENT = 5;

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;
/** No packet of the gateway is nearly as long: what says that it is, is none. */
const PACKET_BYTES_MAX = 64 << 20;

/** What a record is made of before it is stored. */
export interface RecordParts {
  key: Uint8Array | undefined;
  value: Uint8Array;
  /** JSON text: [["name","value"],…]; empty: none. */
  headers: Uint8Array;
  timestampMs: number;
}

/** Writes records one behind the other. */
export class PacketWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** It grows as needed, at some cost. */
  constructor(expectedBytes: number) {
    this.#bytes = new Uint8Array(expectedBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** What was written. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  write(partition: number, { key, value, headers, timestampMs }: RecordParts): void {
    const keyLength = key?.length ?? 0;
    const rest = 1 + RECORD_FIELD_BYTES + keyLength + headers.length + value.length;
    this.#reserve(LENGTH_BYTES + rest);
    const view = this.#view;
    let at = this.#length;
    view.setUint32(at, rest);
    view.setUint8(at + 4, RECORD);
    view.setInt32(at + 5, partition);
    writeInt64(view, at + 9, 0); // the offset is the gateway's
    writeInt64(view, at + 17, timestampMs);
    view.setInt32(at + 25, key ? keyLength : -1);
    view.setInt32(at + 29, headers.length);
    at += HEAD_BYTES + RECORD_FIELD_BYTES;
    if (key) {
      this.#bytes.set(key, at);
    }
    this.#bytes.set(headers, at + keyLength);
    this.#bytes.set(value, at + keyLength + headers.length);
    this.#length = at + keyLength + headers.length + value.length;
  }

  #reserve(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length));
      larger.set(this.bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
  }
}

/** Records of a partition that retention removed before they were read: from, up to and not including to. */
export interface GapPacket {
  type: "gap";
  partition: number;
  from: number;
  to: number;
}

/** Everything up to these offsets of the partitions from `first` on was sent. */
export interface CaughtUpPacket {
  type: "caught up";
  first: number;
  offsets: number[];
}

export interface EventPacket {
  type: "event";
  event: string;
  code?: string;
  message?: string;
}

/** What a stream says; heartbeats and what we do not know are left out. */
export type Packet = Record | GapPacket | CaughtUpPacket | EventPacket;

function notPackets(topic: string): FluvioError {
  return new FluvioError("Server", "what arrives is no stream of a Tidegate gateway; look at what is between it and this program", { topic });
}

function decodeRecord(run: Run, at: number, end: number): Record {
  const record = new Record(run, at, end);
  if (end - at < RECORD_FIELD_BYTES || record.valueAt < at + RECORD_FIELD_BYTES || record.valueAt > end) {
    throw notPackets(run.topic);
  }
  return record;
}

/** The packet with its type at `at`; undefined: one to be skipped. */
function decodePacket(run: Run, at: number, end: number): Packet | undefined {
  const { bytes, view } = run;
  const body = at + 1;
  switch (bytes[at]) {
    case RECORD:
      return decodeRecord(run, body, end);
    case GAP:
      return { type: "gap", partition: view.getInt32(body), from: readInt64(view, body + 4), to: readInt64(view, body + 12) };
    case CAUGHT_UP: {
      const offsets = Array.from({ length: view.getInt32(body + 4) }, (_, i) => readInt64(view, body + 8 + 8 * i));
      return { type: "caught up", first: view.getInt32(body), offsets };
    }
    case EVENT:
      return { ...(JSON.parse(utf8Decode(bytes.subarray(body, end))) as Omit<EventPacket, "type">), type: "event" };
    default:
      return undefined;
  }
}

/** Takes a body apart that comes in pieces. */
export class PacketReader {
  readonly #topic: string;
  #parts: Uint8Array[] = []; // of a packet that is not complete yet
  #partBytes = 0;
  #wantedBytes = 0; // before another look is worth it

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** The packets that are complete now; records are views of the pieces. Throws Server when these are none. */
  push(piece: Uint8Array): Packet[] {
    this.#parts.push(piece);
    this.#partBytes += piece.length;
    if (this.#partBytes < this.#wantedBytes) {
      return [];
    }
    const bytes = this.#parts.length === 1 ? piece : this.#join();
    const { buffer, byteOffset } = bytes; // Node's are Buffers, and nobody expects those of a record to be
    const run = { topic: this.#topic, bytes: new Uint8Array(buffer, byteOffset, bytes.length), view: new DataView(buffer, byteOffset, bytes.length) };
    const packets: Packet[] = [];
    let at = 0;
    this.#wantedBytes = LENGTH_BYTES;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = run.view.getUint32(at);
      if (length === 0 || length > PACKET_BYTES_MAX) {
        throw notPackets(this.#topic);
      }
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) {
        this.#wantedBytes = end - at;
        break;
      }
      const packet = decodePacket(run, at + LENGTH_BYTES, end);
      if (packet) {
        packets.push(packet);
      }
      at = end;
    }
    this.#parts = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#partBytes = bytes.length - at;
    return packets;
  }

  #join(): Uint8Array {
    const whole = new Uint8Array(this.#partBytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
