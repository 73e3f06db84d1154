"""Decodes structures by the definitions that their server gives. Pure.

asyncua decodes structures of its own kind only after it has made classes for all types of a server, in a registry that
all servers share, although each numbers its namespaces as it likes. A reader here belongs to one session.
"""

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.ua_binary import struct_from_binary, unpack_uatype
from asyncua.ua.uaerrors import UaError

Reader = Callable[[Buffer], Any]
"""Takes a value from the front of encoded bytes."""

MOST_ELEMENTS = 100_000
"""A length beyond this is no array of a machine, but bytes that were read with a wrong definition."""
_WRONG_BYTES = (UaError, ValueError, LookupError, TypeError, OverflowError, struct.error)
"""What decoding may raise where the definition is not that of the bytes."""
_MOST_BUILT_IN = 25
_ENCODED_AS = {26: 24, 27: 24, 28: 24, 29: 6}
"""Abstract numbers are encoded as a Variant, enumerations as Int32."""


@dataclass(frozen=True)
class FieldReader:
    """One field of a structure. rank: dimensions of its array, 0 for a single value; optional: may be missing."""

    name: str
    read: Reader
    rank: int = 0
    optional: bool = False


def built_in(data_type: ua.NodeId) -> Reader | None:
    """The reader of a type that the protocol itself defines; None for other types."""
    if data_type.NamespaceIndex != 0 or not isinstance(data_type.Identifier, int):
        return None
    number = _ENCODED_AS.get(data_type.Identifier, int(data_type.Identifier))
    if not 1 <= number <= _MOST_BUILT_IN:
        return _of_class(data_type, ObjectIdNames.get(number, ""))
    kind = ua.VariantType(number)
    return lambda data: unpack_uatype(kind, data)


def _of_class(data_type: ua.NodeId, name: str) -> Reader | None:
    """The reader of a structure of the standard's own namespace (EUInformation, Range)."""
    known = getattr(ua, name, None)
    if not isinstance(known, type) or getattr(known, "data_type", None) != data_type:
        return None
    return lambda data: struct_from_binary(known, data)


def structure(kind: ua.StructureType, fields: Sequence[FieldReader]) -> Reader:
    """The reader of a structure, which returns its fields by name; those that are missing are left out."""
    optional = [item.name for item in fields if item.optional]

    def plain(data: Buffer) -> dict[str, Any]:
        return {item.name: _field(item, data) for item in fields}

    def with_optional(data: Buffer) -> dict[str, Any]:
        mask = unpack_uatype(ua.VariantType.UInt32, data)
        missing = {name for place, name in enumerate(optional) if not mask >> place & 1}
        return {item.name: _field(item, data) for item in fields if item.name not in missing}

    def union(data: Buffer) -> dict[str, Any]:
        place = unpack_uatype(ua.VariantType.UInt32, data)
        return {fields[place - 1].name: _field(fields[place - 1], data)} if 1 <= place <= len(fields) else {}

    if kind in {ua.StructureType.Union, ua.StructureType.UnionWithSubtypedValues}:
        return union
    return with_optional if kind is ua.StructureType.StructureWithOptionalFields else plain


def _field(item: FieldReader, data: Buffer) -> Any:
    if not item.rank:
        return item.read(data)
    int32 = ua.VariantType.Int32
    count = unpack_uatype(int32, data)
    if item.rank > 1:  # how long each dimension is, then all elements
        count = prod(unpack_uatype(int32, data) for _ in range(_sound(count)))
    return [item.read(data) for _ in range(_sound(count))]


def _sound(count: int) -> int:
    if count > MOST_ELEMENTS:
        raise UaError(f"an array of {count} elements")
    return max(0, count)


def fields_of(value: Any, readers: Mapping[ua.NodeId, Reader | None]) -> Mapping[str, Any] | None:
    """The fields of a structure by name; None if the value is none, or cannot be decoded.

    readers: by the id of the encoding, which travels with the value.
    """
    if isinstance(value, ua.Variant):
        value = value.Value
    if isinstance(value, ua.ExtensionObject):
        read = readers.get(value.TypeId)
        if read is None or value.Body is None:
            return None
        try:
            value = read(Buffer(value.Body))
        except _WRONG_BYTES:
            return None
    if isinstance(value, Mapping):
        return value
    if hasattr(type(value), "data_type"):  # one of asyncua's own classes of structures
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return None
