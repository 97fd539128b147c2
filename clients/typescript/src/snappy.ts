/*
 * The framed format of Snappy around blocks that a library compresses: a name, then pieces of at most 64 KiB with a
 * checksum each.
 */

/** Compresses one block, without a frame. */
export type SnappyBlock = (block: Uint8Array) => Promise<Uint8Array>;

const STREAM_NAME = Uint8Array.of(0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59); // sNaPpY
const COMPRESSED = 0x00;
const BLOCK_BYTES_MAX = 65_536;
const HEAD_BYTES = 8; // type, u24 length, u32 checksum; little-endian

const CRC32C = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) {
    crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return crc;
});

function maskedChecksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc = CRC32C[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  }
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export async function snappyFrame(body: Uint8Array, compress: SnappyBlock): Promise<Uint8Array> {
  const parts: Uint8Array[] = [STREAM_NAME];
  for (let at = 0; at < body.length; at += BLOCK_BYTES_MAX) {
    const block = body.subarray(at, at + BLOCK_BYTES_MAX);
    const compressed = await compress(block);
    const head = new DataView(new ArrayBuffer(HEAD_BYTES));
    head.setUint32(0, ((compressed.length + 4) << 8) | COMPRESSED, true);
    head.setUint32(4, maskedChecksum(block), true);
    parts.push(new Uint8Array(head.buffer), compressed);
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}
