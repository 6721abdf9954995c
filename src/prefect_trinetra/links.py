"""Chained addresses: links joined by `::`, as in `simplecache::s3://bucket/set`, each with options of its own.

The options are fsspec's: a link's stand in a mapping named by its kind (`{"s3": {...}}`), the others are the first's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prefect_trinetra.backends import CACHES, FOLDER_LAYER, Options, backend
from prefect_trinetra.errors import ConfigurationError

__all__ = ["Link", "for_library", "last_protocol", "links", "place_behind"]

# What a user may have set for a layer that is not used.
LAYER_OPTIONS: Final = frozenset(
    {
        "cache_check",
        "cache_mapper",
        "cache_storage",
        "check_files",
        "compression",
        "expiry_time",
        "listings_expiry_time",
        "same_names",
        "skip_instance_cache",
        "target_protocol",
        "use_listings_cache",
    }
)


@dataclass(frozen=True, slots=True)
class Link:
    """One link: its kind, its own address and its options."""

    protocol: str
    url: str
    options: Options = field(repr=False)

    @property
    def path(self) -> str:
        """What follows `://`."""
        return self.url.partition("://")[2]

    def native(self) -> Link:
        """The link as its library wants it. Raises ConfigurationError."""
        url, options = backend(self.protocol).native(self.url, self.options)
        return Link(url.partition("://")[0] if "://" in url else self.protocol, url, options)


def links(url: str, options: Mapping[str, Any] | None = None) -> list[Link]:
    """The links of an address from the outermost to the storage itself; for a plain address that one."""
    words = [_with_protocol(word, is_chained="::" in url) for word in url.split("::")]
    rest = dict(options or {})
    nested = [_taken(rest, protocol) for protocol, _ in words]
    if len(words) == 1:
        # A block's options may speak of layers as well.
        rest = {name: value for name, value in rest.items() if name not in CACHES | {FOLDER_LAYER}}
    nested[0] |= rest
    return [Link(protocol, text, own) for (protocol, text), own in zip(words, nested, strict=True)]


def last_protocol(url: str) -> str:
    """The kind of the storage itself."""
    return links(url)[-1].protocol


def for_library(url: str, options: Mapping[str, Any] | None) -> tuple[str, Options]:
    """The same address and options, with each link as its library wants it."""
    outermost, *inner = (link.native() for link in links(url, options))
    chained = "::".join([outermost.url, *(link.url for link in inner)])
    return chained, {**{link.protocol: link.options for link in inner if link.options}, **outermost.options}


def place_behind(url: str, options: Mapping[str, Any] | None, shown: str) -> Link:
    """The folder that a chain of layers leads to, without the layers: what is written is never read from a copy.

    Raises ConfigurationError where a link is no layer over a folder.
    """
    *layers, place = links(url, options)
    folder, own = place.url, dict(place.options)
    for layer in reversed(layers):
        if layer.protocol not in CACHES | {FOLDER_LAYER}:
            raise ConfigurationError(
                f"{shown} can't be written to: {layer.protocol}:// is no layer over a folder that files can be put into"
            )
        own |= _meant_for_place(layer, place.protocol)
        folder = _joined(folder, layer, shown)
    return Link(place.protocol, folder, own)


def _joined(folder: str, layer: Link, shown: str) -> str:
    if layer.path and layer.protocol != FOLDER_LAYER:
        raise ConfigurationError(
            f"{shown}: leave out what follows {layer.protocol}://; the path stands in the last link"
        )
    return f"{folder.rstrip('/')}/{layer.path}" if layer.path else folder


def _meant_for_place(layer: Link, protocol: str) -> Options:
    """fsspec's `target_options`; everything else that a layer doesn't know is an error, not a key that is dropped."""
    strange = sorted(layer.options.keys() - LAYER_OPTIONS - {"target_options"})
    if strange:
        raise ConfigurationError(
            f"the storage options {', '.join(strange)} are given to {layer.protocol}://: put what is meant for "
            f'{protocol}:// into a mapping of that name, as in {{"{protocol}": {{...}}}}'
        )
    return dict(layer.options.get("target_options") or {})


def _with_protocol(word: str, *, is_chained: bool) -> tuple[str, str]:
    """Kind and address of a link; in a chain a word of small letters alone is a kind, as fsspec has it."""
    if "://" in word:
        return word.partition("://")[0], word
    if is_chained and word.isascii() and word.isalpha() and word.islower():
        return word, f"{word}://"
    return "file", word


def _taken(rest: Options, protocol: str) -> Options:
    """The options of one kind, under whichever of its names they stand, taken out of `rest`."""
    names: Sequence[str] = (protocol, *backend(protocol).protocols)
    for name in names:
        if isinstance(rest.get(name), Mapping):
            return dict(rest.pop(name))
    return {}
