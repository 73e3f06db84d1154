"""A whole answer at once gives what each tag's decoder gives alone, whatever lies beside and over it."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.block import block_of, value_of
from adapters.modbus.decode import coil, decoder_of
from adapters.modbus.model import ModbusTag
from adapters.modbus.plan import Place, request_for

TYPES = (
    "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64", "bcd16", "bcd32",
)  # fmt: skip


@st.composite
def tags(draw):
    """A tag of any type at any of 40 registers."""
    kind = draw(st.sampled_from((*TYPES, "bit", "string")))
    given = {"holding": draw(st.integers(0, 39)), "order": draw(st.sampled_from(("ABCD", "CDAB", "BADC", "DCBA")))}
    if kind == "bit":
        given["bit"] = draw(st.integers(0, 15))
    elif kind == "string":
        given |= {"type": "string", "length": draw(st.integers(1, 9)), "order": draw(st.sampled_from(("ABCD", "BADC")))}
    else:
        given |= {"type": kind, "scale": draw(st.sampled_from((1, 10, 0.1)))}
    return ModbusTag.model_validate(given)


def alone(decoder, data, at):
    try:
        return decoder(data, at)
    except ValueError:
        return None


@given(st.lists(tags(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_registers(chosen, chance):
    named = {f"t{number}": tag for number, tag in enumerate(chosen)}
    places = [Place(name, "holding", tag.first(0), tag.count, 1.0) for name, tag in named.items()]
    request = request_for(places)
    decoders = {name: decoder_of(tag) for name, tag in named.items()}
    data = chance.randbytes(2 * request.count)
    block = block_of(request, decoders)
    found = {
        name: value_of(meaning, raw)
        for name, meaning, raw in zip(block.tags, block.meanings, block.raw(data), strict=True)
    }
    assert found == {
        place.tag: alone(decoders[place.tag], data, 2 * (place.start - request.start)) for place in request.places
    }


@given(st.sets(st.integers(0, 200), min_size=1), st.randoms(use_true_random=False))
def test_bits(addresses, chance):
    request = request_for([Place(f"c{at}", "coil", at, 1, 1.0) for at in addresses])
    data = chance.randbytes((request.count + 7) // 8)
    block = block_of(request, dict.fromkeys(request.tags))
    expected = [coil(data, place.start - request.start) for place in request.places]
    assert list(block.raw(data)) == expected
