"""What a server says about types and states, read when a value first needs it and kept for the session."""

from collections.abc import Iterable, Mapping, Sequence

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

from adapters.opcua.client import NO_TIME
from adapters.opcua.selection.states import well_known
from adapters.opcua.selection.structures import FieldReader, Reader, built_in, structure

_SUBTYPED = (ua.StructureType.StructureWithSubtypedValues, ua.StructureType.UnionWithSubtypedValues)


class ServerLookup:
    """Readers of structures and names of states, of one session."""

    def __init__(self, session: UaSession) -> None:
        self._session = session
        self._readers: dict[ua.NodeId, Reader | None] = {}
        self._by_type: dict[ua.NodeId, Reader | None] = {}
        self._states: dict[ua.NodeId, str | None] = {}

    @property
    def readers(self) -> Mapping[ua.NodeId, Reader | None]:
        """Readers of structures by the id of their encoding; None where the server gives no definition."""
        return self._readers

    def state_name(self, state: ua.NodeId) -> str | None:
        """The name of a state, None if it has not been learnt; "" for the null id, of a machine in no state."""
        return "" if state.is_null() else self._states.get(state)

    def forget_failures(self) -> None:
        """What the server could not say is asked again when it is next needed."""
        self._readers = {key: reader for key, reader in self._readers.items() if reader is not None}
        self._by_type = {key: reader for key, reader in self._by_type.items() if reader is not None}
        self._states = {key: name for key, name in self._states.items() if name is not None}

    async def learn_encoding(self, encoding: ua.NodeId) -> None:
        """Learns how to read structures that come with this id."""
        if encoding in self._readers:
            return
        self._readers[encoding] = None
        for data_type in (await self._above(encoding, ObjectIds.HasEncoding), encoding):
            if data_type is not None and (reader := await self._reader(data_type)) is not None:
                self._readers[encoding] = reader
                return

    async def learn_states(self, states: Iterable[ua.NodeId], namespaces: Sequence[str]) -> None:
        """Learns the names of states: the BrowseName of their nodes, else the specification's."""
        unknown = [state for state in dict.fromkeys(states) if state not in self._states and not state.is_null()]
        if not unknown:
            return
        try:
            answers = await self._session.read_attributes(unknown, AttributeIds.BrowseName)
        except UaStatusCodeError:
            answers = [ua.DataValue()] * len(unknown)
        for state, data in zip(unknown, answers, strict=True):
            value = data.Value.Value if data.Value is not None else None
            number = state.NamespaceIndex
            uri = namespaces[number] if number < len(namespaces) else ""
            name = value.Name if isinstance(value, ua.QualifiedName) else None
            self._states[state] = name or well_known(state, uri)

    async def _reader(self, data_type: ua.NodeId) -> Reader | None:
        if (reader := built_in(data_type)) is not None:
            return reader
        if data_type in self._by_type:
            return self._by_type[data_type]

        def later(data: object) -> object:  # a structure that holds others of its own type
            own = self._by_type[data_type]
            return None if own is None or own is later else own(data)  # type: ignore[arg-type]

        self._by_type[data_type] = later
        self._by_type[data_type] = found = await self._defined(data_type)
        return found

    async def _defined(self, data_type: ua.NodeId) -> Reader | None:
        """The reader of a type by its definition, or of the type that it is derived from (an Int32 with a name)."""
        try:
            (data,) = await self._session.read_attributes([data_type], AttributeIds.DataTypeDefinition)
        except UaStatusCodeError:
            return None
        definition = data.Value.Value if data.Value is not None else None
        if isinstance(definition, ua.EnumDefinition):
            return built_in(ua.NodeId(ua.Int32(ObjectIds.Int32)))
        if not isinstance(definition, ua.StructureDefinition):
            parent = await self._above(data_type, ObjectIds.HasSubtype)
            return await self._reader(parent) if parent is not None else None
        fields = []
        for item in definition.Fields:
            reader = await self._field(item, definition.StructureType)
            if reader is None:
                return None
            fields.append(reader)
        return structure(definition.StructureType, fields)

    async def _field(self, item: ua.StructureField, kind: ua.StructureType) -> FieldReader | None:
        boxed = kind in _SUBTYPED and item.IsOptional  # which says there that subtypes may come
        data_type = ua.NodeId(ua.Int32(ObjectIds.Structure)) if boxed else item.DataType
        reader = await self._reader(data_type)
        optional = kind is ua.StructureType.StructureWithOptionalFields and item.IsOptional
        return FieldReader(item.Name, reader, max(0, item.ValueRank), optional) if reader is not None else None

    async def _above(self, node: ua.NodeId, reference: int) -> ua.NodeId | None:
        """The node that refers to this one."""
        asked = ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Inverse,
            ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
            IncludeSubtypes=True,
            ResultMask=ua.UInt32(ua.BrowseResultMask.None_),
        )
        parameters = ua.BrowseParameters(View=ua.ViewDescription(Timestamp=NO_TIME), NodesToBrowse=[asked])
        try:
            (result,) = await self._session.browse(parameters)
        except UaStatusCodeError:
            return None
        for found in result.References or ():
            target = found.NodeId
            return ua.NodeId(target.Identifier, target.NamespaceIndex, target.NodeIdType)
        return None
