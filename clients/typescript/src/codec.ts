import { FluvioError } from "./error.js";
import { builtIn } from "./platform.js";
import { snappyFrame, type SnappyBlock } from "./snappy.js";

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

interface NodeZlib {
  gzip: Callback;
  zstdCompress?: Callback;
  constants: { ZSTD_c_compressionLevel?: number };
}

type Callback = (body: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void) => void;

const nodeZlib = (): NodeZlib | undefined => builtIn("zlib");

/** Away from the program's thread. */
function promised(compress: Callback, options: object): Codec {
  return (body) => new Promise((resolve, reject) => compress(body, options, (error, result) => (error ? reject(error) : resolve(result))));
}

async function streamGzip(body: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([body as BlobPart]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A package that may be installed beside this one; undefined: it is not. */
async function optional<T>(name: string): Promise<T | undefined> {
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as T;
  } catch {
    return undefined;
  }
}

const ZSTD_LEVEL = 1;

async function findGzip(): Promise<Codec> {
  const zlib = nodeZlib();
  return zlib ? promised(zlib.gzip, {}) : streamGzip;
}

async function findZstd(): Promise<Codec | undefined> {
  const zlib = nodeZlib();
  const level = zlib?.constants.ZSTD_c_compressionLevel;
  if (zlib?.zstdCompress && level !== undefined) {
    return promised(zlib.zstdCompress, { params: { [level]: ZSTD_LEVEL } });
  }
  const zstd = await optional<{ compress: (body: Uint8Array, level: number) => Promise<Uint8Array> }>("@mongodb-js/zstd");
  return zstd && ((body) => zstd.compress(body, ZSTD_LEVEL));
}

async function findLz4(): Promise<Codec | undefined> {
  const lz4 = await optional<{ compressFrame: Codec }>("lz4-napi");
  return lz4 && ((body) => lz4.compressFrame(body));
}

async function findSnappy(): Promise<Codec | undefined> {
  const snappy = await optional<{ compress: SnappyBlock }>("snappy");
  return snappy && ((body) => snappyFrame(body, snappy.compress));
}

/** Where each comes from, and what to do where it is not to be had. */
const SOURCES = {
  gzip: { find: findGzip, advice: "use a newer platform" },
  zstd: { find: findZstd, advice: "use Node 22.15 or newer, or npm install @mongodb-js/zstd" },
  lz4: { find: findLz4, advice: "npm install lz4-napi" },
  snappy: { find: findSnappy, advice: "npm install snappy" },
};

/** The codec to use: the caller's first, else what the platform or a package offers. Throws Compression; never another
 * codec instead. */
export async function findCodec(compression: Compression, codecs: Codecs): Promise<Codec | undefined> {
  if (compression === "none") {
    return undefined;
  }
  const { find, advice } = SOURCES[compression];
  const codec = codecs[compression] ?? (await find());
  if (!codec) {
    throw new FluvioError("Compression", `there is no ${compression} here: ${advice}, pass a function as codecs.${compression} to connect(), or choose gzip`);
  }
  return async (body) => {
    try {
      return await codec(body);
    } catch (thrown) {
      const advice = `look at what is given as codecs.${compression}`;
      throw new FluvioError("Compression", `${compression} did not take a batch (${String(thrown)}); ${advice}`, { cause: thrown });
    }
  };
}
