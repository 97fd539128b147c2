"""Content codings of request bodies, each by a library that is not the server's own code path."""

import gzip

import cramjam
import lz4.frame
import zstandard

CODECS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "lz4": lz4.frame.compress,
    "snappy": lambda data: bytes(cramjam.snappy.compress(data)),  # the framed format
}
