"""Files as they come out of accidents: cut, flipped, patched, bytes lost or said twice."""

from hypothesis import strategies as st

INTEGERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@st.composite
def spoiled(draw, whole, header=64):
    """Draw a spoiled copy of some bytes, most often spoiled in their header."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        last = min(header, len(data)) if draw(st.booleans()) else len(data)
        place = draw(st.integers(0, last - 1))
        length = draw(st.integers(1, 40))
        match draw(st.sampled_from(("flip", "field", "bytes", "lose", "repeat", "cut"))):
            case "flip":
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "field":
                size = draw(st.sampled_from((2, 4)))
                number = draw(st.sampled_from(INTEGERS)) % 256**size
                data[place : place + size] = number.to_bytes(size, "little")
            case "bytes":
                data[place : place + length] = draw(st.binary(max_size=length))
            case "lose":
                del data[place : place + length]
            case "repeat":
                data[place:place] = data[place : place + length]
            case "cut":
                del data[place:]
    return bytes(data)
