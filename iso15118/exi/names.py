"""Names as values: the URI and local-name tables behind SE(*), AT(*) and xsi:type.

EXI 1.0 sections 7.1.7 and 7.3.2. Every message starts with the tables of its schema set; new
names are added as they are met, separately for each message and direction.
"""

from __future__ import annotations

from iso15118.errors import DecodeError
from iso15118.exi.bits import BitReader, characters, join, pack_octets
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.tables import QName


class NameTable:
    """The names known at one point of a message."""

    __slots__ = ("_names", "_uris")

    def __init__(self, schema_set: SchemaSet) -> None:
        self._uris = [uri for uri, _ in schema_set.string_table]
        self._names = [list(names) for _, names in schema_set.string_table]

    def read(self, reader: BitReader, at: int) -> tuple[QName, int]:
        """The qualified name at bit `at` and the offset behind it."""
        start = at
        width = len(self._uris).bit_length()
        code = reader.bits(at, width)
        at += width
        if code > len(self._uris):
            raise DecodeError(f"URI {code - 1} of {len(self._uris)}", bit=start)
        if code == 0:
            length, at = reader.unsigned(at)
            uri, at = reader.characters(at, length)
            code = self._add_uri(uri)
        uri, names = self._uris[code - 1], self._names[code - 1]
        name, at = _read_local(reader, at, names)
        return QName(name, uri), at

    def pack(self, qname: QName) -> tuple[int, int]:
        """A qualified name as (bits, width)."""
        width = len(self._uris).bit_length()
        if qname.namespace in self._uris:
            code = self._uris.index(qname.namespace) + 1
            parts = [(code, width)]
        else:
            parts = [(0, width), pack_octets(len(qname.namespace), characters(qname.namespace))]
            code = self._add_uri(qname.namespace)
        names = self._names[code - 1]
        if qname.name in names:
            parts += [(0, 8), (names.index(qname.name), (len(names) - 1).bit_length())]
        else:
            parts.append(pack_octets(len(qname.name) + 1, characters(qname.name)))
            names.append(qname.name)
        return join(parts)

    def _add_uri(self, uri: str) -> int:
        self._uris.append(uri)
        self._names.append([])
        return len(self._uris)


def _read_local(reader: BitReader, at: int, names: list[str]) -> tuple[str, int]:
    length, after = reader.unsigned(at)
    if length:
        name, after = reader.characters(after, length - 1)
        names.append(name)
        return name, after
    width = max(len(names) - 1, 0).bit_length()
    index = reader.bits(after, width)
    if index >= len(names):
        raise DecodeError(f"local name {index} of {len(names)}", bit=at)
    return names[index], after + width
