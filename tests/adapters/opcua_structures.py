"""An OPC UA server with structures of its own, to be started as a child process: asyncua shares its classes of
structures within a process, and a client must not know them already. Prints "up"; ends when standard input is closed.
"""

import asyncio
import logging
import sys

from asyncua import Server, ua
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

logging.getLogger("asyncua").setLevel(logging.CRITICAL)
SPARE_NAMESPACES = 3


async def types_of(server: Server, index: int) -> None:
    """Part (nested, with an enumeration and EUInformation), Count (optional fields, arrays) and Choice (a union)."""
    field = new_struct_field
    colour = await new_enum(server, index, "Colour", ["red", "green"])
    part, _ = await new_struct(server, index, "Part", [
        field("Id", ua.VariantType.Guid), field("Colour", colour), field("Unit", ua.NodeId(ua.ObjectIds.EUInformation)),
        field("Made", ua.VariantType.Int64),
    ])  # fmt: skip
    await new_struct(server, index, "Count", [
        field("Name", ua.VariantType.String), field("Spare", ua.VariantType.Double, optional=True),
        field("History", ua.VariantType.UInt16, array=True), field("Part", part),
        field("AccCount", ua.VariantType.Int32, optional=True), field("Any", ua.VariantType.Variant),
    ])  # fmt: skip
    await new_struct(server, index, "Choice", [
        field("Number", ua.VariantType.Int32), field("Text", ua.VariantType.String),
    ], is_union=True)  # fmt: skip
    await server.load_data_type_definitions()


def values() -> dict[str, ua.Variant]:
    def count(made: int, total: int | None) -> ua.Variant:
        part = ua.Part(
            Colour=ua.Colour.green, Made=made, Unit=ua.EUInformation(UnitId=5, DisplayName=ua.LocalizedText("pcs"))
        )
        return ua.Count(Name="Chai", History=[1, 2, 3], Part=part, AccCount=total, Any=ua.Variant(2.5))

    text = ua.Choice()
    text.Text = "A"
    return {
        "counts": ua.Variant([count(7, 100), count(8, 200)]),
        "count": ua.Variant(count(9, None)),
        "choice": ua.Variant(text),
        "unit": ua.Variant(ua.EUInformation(UnitId=5)),
        "hidden": ua.Variant(count(1, 1)),
    }


async def main(port: int) -> None:
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for number in range(SPARE_NAMESPACES):
        await server.register_namespace(f"urn:spare:{number}")
    index = await server.register_namespace("urn:nhip:test")
    await types_of(server, index)
    machine = await server.nodes.objects.add_object(index, "M")
    for name, value in values().items():
        await machine.add_variable(ua.NodeId(name, index), name, value)
    async with server:
        print("up", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
