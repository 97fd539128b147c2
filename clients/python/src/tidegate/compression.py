"""Compression of a batch, which is the body of one request. gzip is always there, the others are optional extras."""

from __future__ import annotations

import enum
import gzip
import importlib
from collections.abc import Callable

from .errors import ErrorKind, FluvioError


class Compression(enum.Enum):
    None_ = "none"
    Gzip = "gzip"
    Snappy = "snappy"
    Lz4 = "lz4"
    Zstd = "zstd"

    @classmethod
    def parse(cls, text: str) -> Compression:
        """By name, in any case."""
        try:
            return cls(text.lower())
        except ValueError:
            raise FluvioError(
                ErrorKind.CLIENT_CONFIG, f"compression is none, gzip, snappy, lz4 or zstd, not {text!r}"
            ) from None


def _gzip() -> Callable[[bytes], bytes]:
    return lambda data: gzip.compress(data, 6, mtime=0)


def _zstd() -> Callable[[bytes], bytes]:
    try:
        builtin = importlib.import_module("compression.zstd")  # Python 3.14 and later
        return lambda data: builtin.compress(data, 1)
    except ImportError:
        module = importlib.import_module("zstandard")
        return lambda data: module.ZstdCompressor(level=1).compress(data)


def _lz4() -> Callable[[bytes], bytes]:
    compress: Callable[[bytes], bytes] = importlib.import_module("lz4.frame").compress
    return compress


def _snappy() -> Callable[[bytes], bytes]:
    module = importlib.import_module("cramjam")
    return lambda data: bytes(module.snappy.compress(data))  # the framed format


_MAKERS = {Compression.Gzip: _gzip, Compression.Zstd: _zstd, Compression.Lz4: _lz4, Compression.Snappy: _snappy}


def compressor(compression: Compression) -> Callable[[bytes], bytes] | None:
    """The function that compresses; None for none. CompressionError when the package for it is not installed."""
    if compression is Compression.None_:
        return None
    try:
        return _MAKERS[compression]()
    except ImportError:
        name = compression.value
        raise FluvioError(
            ErrorKind.COMPRESSION, f"{name} needs an extra package: pip install 'tidegate[{name}]'"
        ) from None


def available() -> list[Compression]:
    """What this installation can do."""
    found = [Compression.None_]
    for compression in _MAKERS:
        try:
            compressor(compression)
        except FluvioError:
            continue
        found.append(compression)
    return found
