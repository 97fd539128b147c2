import { FluvioError } from "./error.js";

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** Compresses one body. lz4 and snappy are the framed formats. */
export type Codec = (body: Uint8Array) => Uint8Array | Promise<Uint8Array>;
export type Codecs = Partial<Record<Exclude<Compression, "none">, Codec>>;

const NAMES: readonly string[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** A name in any case. Throws Compression for another. */
export function parseCompression(name: string): Compression {
  const lower = name.toLowerCase();
  if (!NAMES.includes(lower)) {
    throw new FluvioError("Compression", `there is no compression "${name}"; choose one of ${NAMES.join(", ")}`);
  }
  return lower as Compression;
}

async function gzip(body: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([body as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

interface NodeZlib {
  zstdCompressSync?: (body: Uint8Array, options: { params: Record<number, number> }) => Uint8Array;
  constants: { ZSTD_c_compressionLevel?: number };
}

/** Newer Nodes bring zstd along; asked for in a way that bundlers for browsers do not stumble over. */
function nodeZstd(): Codec | undefined {
  const host = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process;
  const zlib = host?.getBuiltinModule?.("node:zlib") as NodeZlib | undefined;
  const compress = zlib?.zstdCompressSync;
  const level = zlib?.constants.ZSTD_c_compressionLevel;
  return compress && level !== undefined ? (body) => compress(body, { params: { [level]: 1 } }) : undefined;
}

/** The codec to use: the caller's first, else the platform's. Throws Compression; never another codec instead. */
export function findCodec(compression: Compression, codecs: Codecs): Codec | undefined {
  if (compression === "none") {
    return undefined;
  }
  const given = codecs[compression];
  const builtIn = compression === "gzip" ? gzip : compression === "zstd" ? nodeZstd() : undefined;
  const codec = given ?? builtIn;
  if (!codec) {
    throw new FluvioError(
      "Compression",
      `this platform has no ${compression}; pass a function as codecs.${compression} when connecting, or choose gzip`,
    );
  }
  return codec;
}
