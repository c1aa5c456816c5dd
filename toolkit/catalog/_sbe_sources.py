"""bytes → where vendors publish their SBE discovery manifests (manifests/sbe-sources.yaml). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from toolkit.catalog._sourced import source_reader
from toolkit.names import https_url
from toolkit.yamltext import Value, read_yaml, require_format

FORMAT = 1
_HOLE = "{manufacturer}"
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeSource:
    """Where one vendor's discovery manifest is."""

    manufacturer: str
    address: str
    aliases: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Where the address has been seen to lead to; empty: nobody wrote it down."""
    source: str
    """Where all this was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SbeSources:
    """The vendors we know, and the address for every other."""

    known: tuple[SbeSource, ...]
    any_address: str
    """With `{manufacturer}` in it."""
    any_source: str

    def find(self, manufacturer: str) -> SbeSource:
        """Return where a manufacturer's manifest is; of one that is not known, where it would be.

        Raises:
            ValueError: Not a name that could stand in an address.
        """
        return self._listed(manufacturer) or SbeSource(
            manufacturer=manufacturer,
            address=self.any_address.replace(_HOLE, quote(_plain(manufacturer), safe="")),
            source=self.any_source,
        )

    def of(self, publisher: str, family: str) -> SbeSource:
        """Return where the manifest of a vendor's family is; a family may have one of its own.

        Raises:
            ValueError: Not a name that could stand in an address.

        Source: Firewall-blocks-update-discovery.md (HPE-ProLiant-Standard beside HPE).
        """
        return self._listed(f"{publisher}-{family}") or self.find(publisher)

    def address_of(self, publisher: str, family: str) -> str:
        """Return the address of that manifest, or nothing for a name that cannot stand in an address."""
        try:
            return self.of(publisher, family).address
        except ValueError:
            return ""

    def manufacturer_at(self, address: str) -> str:
        """Return whose manifest such an address leads to, or nothing if it is of another form."""
        before, after = self.any_address.split(_HOLE)
        middle = address.removeprefix(before).removesuffix(after)
        return unquote(middle) if address == f"{before}{middle}{after}" else ""

    def _listed(self, manufacturer: str) -> SbeSource | None:
        wanted = _bare(manufacturer)
        for source in self.known:
            if wanted in map(_bare, (source.manufacturer, *source.aliases)):
                return source
        return None


def is_same_vendor(one: str, other: str) -> bool:
    """Whether two names are of one vendor; `Dell` and `DellEMC` or `Dell Inc.` count as one."""
    known, asked = one.casefold(), other.casefold()
    return known.startswith(asked) or asked.startswith(known)


def read_sbe_sources(data: bytes, *, file: str | None = None) -> SbeSources:
    """Return the vendors that `data` lists.

    Raises:
        InputError: Not such a list; says the file, key and line.
    """
    values = read_yaml(data, file=file).record(
        ("format", "sources", "any", "any_source", "manufacturers")
    )
    require_format(values["format"], FORMAT)
    source = source_reader(values["sources"])
    address = values["any"].parse(_with_hole, f"an https address with {_HOLE}")
    known: dict[str, SbeSource] = {}
    for item in values["manufacturers"].items():
        record = item.record(("name", "source"), ("aliases", "hosts", "hosts_source"))
        name = record["name"].parse(_plain, "a manufacturer's name")
        read_in = [source(record[key]) for key in ("source", "hosts_source") if key in record]
        found = SbeSource(
            manufacturer=name,
            address=address.replace(_HOLE, quote(name, safe="")),
            aliases=tuple(_texts(record, "aliases")),
            hosts=tuple(host.casefold() for host in _texts(record, "hosts")),
            source="; ".join(read_in),
        )
        for spelling in (name, *found.aliases):
            if known.setdefault(_bare(spelling), found) is not found:
                raise item.refuse(found=f"{spelling} again", expected="each name once")
    return SbeSources(
        known=tuple(dict.fromkeys(known.values())),
        any_address=address,
        any_source=source(values["any_source"]),
    )


def _texts(record: dict[str, Value], key: str) -> Iterator[str]:
    return (item.text() for item in record[key].items()) if key in record else iter(())


def _with_hole(text: str) -> str:
    if text.count(_HOLE) != 1:
        raise ValueError(text)
    https_url(text.replace(_HOLE, "x"))
    return text


def _plain(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST or not text.isprintable() or text.strip(". ") == "":
        raise ValueError(f"{text[:_LONGEST]!r} is no manufacturer's name")
    return text


def _bare(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()
