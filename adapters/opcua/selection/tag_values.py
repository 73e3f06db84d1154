"""What the tags of one session make of the values of their nodes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from adapters.opcua.model import OpcUaTag
from adapters.opcua.nodes import node_id, node_text
from adapters.opcua.selection.lookup import ServerLookup
from adapters.opcua.selection.structures import fields_of
from adapters.opcua.values import judged, raw_of, value_of
from oee.model.states import Quality


@dataclass(frozen=True)
class Failure:
    """Why a tag has no value although its node has one. code: of the message catalogue; found: how many elements, which
    fields or what kind of value there are instead.
    """

    code: str
    found: str = ""


class TagValues:
    """Tags of one session: what to ask the server for, and what its answers mean.

    ranges: ask for single elements of arrays where the server does that. For reads only: async-opcua cuts the element out
    of a range once more before it notifies of it.
    """

    def __init__(self, session: UaSession, tags: Mapping[str, OpcUaTag], *, ranges: bool = False) -> None:
        self._session, self._tags, self._ranges = session, tags, ranges
        self._selecting = {name for name, tag in tags.items() if tag.position or tag.path or tag.state_name}
        self._namespaces: Sequence[str] = ()
        self._lookup = ServerLookup(session)
        self._ranged: set[str] = set()

    async def resolve(self, names: Iterable[str], namespaces: Sequence[str]) -> dict[str, ua.ReadValueId]:
        """What to read for each tag, without those whose namespace the server does not have.

        namespaces: URIs of the server's namespaces, in its order.
        """
        self._namespaces = namespaces
        self.forget_failures()
        nodes = {name: node_id(self._tags[name].node, namespaces) for name in names}
        places = {
            name: ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value)
            for name, node in nodes.items()
            if node is not None
        }
        for name, place in places.items():
            if self._ranges and self._tags[name].position and await self._does_ranges(name, place):
                self._ranged.add(name)
                place.IndexRange = _range_text(self._tags[name].position)
        return places

    def forget_failures(self) -> None:
        """What the server could not say about types and states is asked again when it is next needed."""
        self._lookup.forget_failures()

    async def learn(self, values: Iterable[tuple[str, ua.DataValue]], *, to_explain: bool = False) -> None:
        """Asks the server for the types and states that these values need and that are not known yet.

        to_explain: also those of values that no tag selects anything of, for `failure`.
        """
        if not self._selecting and not to_explain:
            return
        states = []
        for name, data in values:
            if not to_explain and name not in self._selecting:
                continue
            tag = self._tags[name]
            value = self._element(name, raw_of(data))
            for part in (*tag.path, ""):
                if isinstance(value, ua.ExtensionObject):
                    await self._lookup.learn_encoding(value.TypeId)
                if part:
                    value = (fields_of(value, self._lookup.readers) or {}).get(part)
            if tag.state_name and isinstance(value, ua.NodeId):
                states.append(value)
        await self._lookup.learn_states(states, self._namespaces)

    def value(self, name: str, data: ua.DataValue) -> tuple[Any, Quality]:
        """A tag's value and quality; BAD where it cannot be selected."""
        if name not in self._selecting:
            return value_of(data, self._namespaces)
        if self._is_inactive(name, data):
            return "", Quality.GOOD
        selected = self._selected(name, raw_of(data))
        return judged(None if isinstance(selected, Failure) else selected, data, self._namespaces)

    def failure(self, name: str, data: ua.DataValue) -> Failure | None:
        """Why the tag has no value although its node has a good one; None if the selection is not the reason."""
        selected = self._selected(name, raw_of(data))
        return selected if isinstance(selected, Failure) else None

    def _is_inactive(self, name: str, data: ua.DataValue) -> bool:
        """Whether this is the state of a state machine that is in none: its outer one is elsewhere."""
        status = data.StatusCode
        return self._tags[name].state_name and status is not None and status.value == StatusCodes.BadStateNotActive

    def _selected(self, name: str, value: Any) -> Any:
        """The element, field or state that the tag wants of a node's value; a `Failure` where there is none."""
        tag = self._tags[name]
        whole, value = value, self._element(name, value)
        if value is None and tag.position:
            if not isinstance(whole, list | bytes):
                return Failure("opcua_no_array", "0")
            return Failure("opcua_index", str(len(whole)))
        for part in tag.path:
            fields = fields_of(value, self._lookup.readers)
            if value is None:
                return None
            if fields is None:
                return _no_structure(value)
            if part not in fields:
                return Failure("opcua_field", ", ".join(fields))
            value = fields[part]
        if isinstance(value, list):
            return Failure("opcua_array", str(len(value)))
        if (fields := fields_of(value, self._lookup.readers)) is not None:
            return Failure("opcua_fields", ", ".join(fields))
        if isinstance(value, ua.ExtensionObject):
            return _no_structure(value)
        if not tag.state_name or not isinstance(value, ua.NodeId):
            return value
        state = self._lookup.state_name(value)
        return Failure("opcua_state", node_text(value.to_string(), self._namespaces)) if state is None else state

    def _element(self, name: str, value: Any) -> Any:
        """The element that the tag wants, of the whole array or of the range that the server sent."""
        position = self._tags[name].position
        if name in self._ranged and _is_one(value, len(position)):
            position = (0,) * len(position)
        return _element(value, position)

    async def _does_ranges(self, name: str, place: ua.ReadValueId) -> bool:
        """Whether the server is seen to send the one element: some refuse a range, ignore it, or count otherwise."""
        position = self._tags[name].position
        ranged = ua.ReadValueId(place.NodeId, place.AttributeId, _range_text(position))
        try:
            whole, part = await self._session.read(ua.ReadParameters(NodesToRead=[place, ranged]))
        except UaStatusCodeError:
            return False
        element = _element(raw_of(whole), position)
        return element is not None and _element(raw_of(part), (0,) * len(position)) == element != raw_of(whole)


def _range_text(position: Sequence[int]) -> str:
    """An OPC UA NumericRange: `2`, or `1,2` in a matrix."""
    return ",".join(map(str, position))


def _element(value: Any, position: Sequence[int]) -> Any:
    """An element of an array; None if it is not that long, or no array."""
    for at in position:
        value = value[at] if isinstance(value, list | bytes) and at < len(value) else None
    return value


def _is_one(value: Any, dimensions: int) -> bool:
    """Whether an array has one element in all."""
    for _ in range(dimensions):
        if not isinstance(value, list | bytes) or len(value) != 1:
            return False
        value = value[0]
    return True


def _no_structure(value: Any) -> Failure:
    if isinstance(value, ua.ExtensionObject):
        return Failure("opcua_structure", value.TypeId.to_string())
    if isinstance(value, list):
        return Failure("opcua_array", str(len(value)))
    return Failure("opcua_no_structure", type(value).__name__)
