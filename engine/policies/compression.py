"""compression: answers are compressed for clients that take it, and compressed requests are unpacked for backends."""

from __future__ import annotations

from typing import Final, NamedTuple

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import RuntimeFeatureFlag
from envoy_data_plane.envoy.extensions.compression.brotli.compressor.v3 import Brotli as BrotliCompressor
from envoy_data_plane.envoy.extensions.compression.brotli.decompressor.v3 import Brotli as BrotliDecompressor
from envoy_data_plane.envoy.extensions.compression.gzip.compressor.v3 import Gzip as GzipCompressor
from envoy_data_plane.envoy.extensions.compression.gzip.decompressor.v3 import Gzip as GzipDecompressor
from envoy_data_plane.envoy.extensions.compression.zstd.compressor.v3 import Zstd as ZstdCompressor
from envoy_data_plane.envoy.extensions.compression.zstd.decompressor.v3 import Zstd as ZstdDecompressor
from envoy_data_plane.envoy.extensions.filters.http.compressor.v3 import Compressor
from envoy_data_plane.envoy.extensions.filters.http.decompressor.v3 import (
    Decompressor,
    DecompressorCommonDirectionConfig,
    DecompressorResponseDirectionConfig,
)

from engine.envoy.effect import Effect, both, switched
from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Filter, Stage, Use, When, is_off
from engine.resolve.manifest import mapping, texts

_FILTERS: Final = "envoy.extensions.filters.http"


class _Library(NamedTuple):
    """A library: what it adds to a filter's name, its name in extensions, and its two configs."""

    suffix: str
    name: str
    message: str
    compressor: Message
    decompressor: Message


_LIBRARIES: Final = {
    "Gzip": _Library("", "gzip", "Gzip", construct(GzipCompressor), construct(GzipDecompressor)),
    "Brotli": _Library(".brotli", "brotli", "Brotli", construct(BrotliCompressor), construct(BrotliDecompressor)),
    "Zstd": _Library(".zstd", "zstd", "Zstd", construct(ZstdCompressor), construct(ZstdDecompressor)),
}


_COMPRESSOR: Final = "envoy.filters.http.compressor"
_DECOMPRESSOR: Final = "envoy.filters.http.decompressor"


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """The filters of the libraries switched on, and those of all others off; a side that is not named is left alone."""
    sides = (("responseCompression", _COMPRESSOR), ("requestDecompression", _DECOMPRESSOR))
    return both(_side(mapping(value.get(side)), name) for side, name in sides if value.get(side) is not None)


def _side(asked: Json, name: str) -> Effect:
    wanted = () if is_off(asked) else (texts(asked.get("libraries")) or ("Gzip",))
    return both(switched(f"{name}{library.suffix}", off=one not in wanted) for one, library in _LIBRARIES.items())


def _compressor(library: _Library) -> Filter:
    type_name = f"envoy.extensions.compression.{library.name}.compressor.v3.{library.message}"
    inside = extension(f"envoy.compression.{library.name}.compressor", type_name, library.compressor)
    message = construct(Compressor, compressor_library=inside)
    name = f"{_COMPRESSOR}{library.suffix}"
    return Filter(name, f"{_FILTERS}.compressor.v3.Compressor", message, Stage.CORS, When.AFTER, weight=1)


def _decompressor(library: _Library) -> Filter:
    type_name = f"envoy.extensions.compression.{library.name}.decompressor.v3.{library.message}"
    inside = extension(f"envoy.compression.{library.name}.decompressor", type_name, library.decompressor)
    # By itself it would unpack answers, too, and ask backends for packed ones.
    never = construct(RuntimeFeatureFlag, default_value=False, runtime_key="penstock.decompress_responses")
    common = construct(DecompressorCommonDirectionConfig, enabled=never)
    message = construct(
        Decompressor,
        decompressor_library=inside,
        response_direction_config=construct(DecompressorResponseDirectionConfig, common_config=common),
    )
    name = f"{_DECOMPRESSOR}{library.suffix}"
    return Filter(name, f"{_FILTERS}.decompressor.v3.Decompressor", message, Stage.CORS, When.AFTER)


FEATURE = Feature(
    "compression",
    effect,
    tuple(made for one in _LIBRARIES.values() for made in (_compressor(one), _decompressor(one))),
)
