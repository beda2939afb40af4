"""NumPy arrays over memory, and how a frame says that it is one: behind its bytes, so that they begin at offset 0 in every language.

    data            nbytes bytes, C order
    padding         to a multiple of 8
    shape           ndim times u64
    type            its text, as .npy files have it, padded with zeros to a multiple of 8
    footer          b"cvND", u8 1, u8 ndim, u16 bytes of the text, u64 nbytes

All numbers little-endian. A frame that does not end so, or in which something cannot be, is bytes.
"""

from __future__ import annotations

import ast
import math
import struct
from functools import lru_cache
from typing import Any

FOOTER = struct.Struct("<4sBBHQ")
MAGIC, VERSION = b"cvND", 1
MAX_DIMENSIONS, MAX_TEXT = 32, 4096


def _padding(length: int) -> int:
    return -length % 8


@lru_cache(maxsize=256)
def _behind(dtype: Any, shape: tuple[int, ...]) -> bytes:
    """What stands behind the data of such an array, with the padding before it."""
    from numpy.lib import format as npy

    if dtype.hasobject:
        raise TypeError(f"an array of {dtype} holds Python objects, which mean nothing to another process")
    text = repr(npy.dtype_to_descr(dtype)).encode()
    if len(text) > MAX_TEXT or len(shape) > MAX_DIMENSIONS:
        raise TypeError(f"an array of {dtype} with {len(shape)} dimensions is too much to describe in a frame")
    nbytes = math.prod(shape) * dtype.itemsize
    return b"".join(
        [
            bytes(_padding(nbytes)),
            struct.pack(f"<{len(shape)}Q", *shape),
            text,
            bytes(_padding(len(text))),
            FOOTER.pack(MAGIC, VERSION, len(shape), len(text), nbytes),
        ]
    )


def pack(value: Any) -> tuple[Any, bytes]:
    """The bytes of a frame: a buffer, and what stands behind it."""
    if not hasattr(value, "__dlpack__"):  # arrays have it
        return value, b""
    import numpy

    if not isinstance(value, numpy.ndarray):
        value = numpy.from_dlpack(value)
    # Dates have no buffer of their own.
    data = value if value.flags.c_contiguous else numpy.ascontiguousarray(value)
    return data.view("i8") if value.dtype.kind in "mM" else data, _behind(value.dtype, value.shape)


@lru_cache(maxsize=256)
def plan(shape: Any, dtype: Any) -> tuple[int, bytes, Any, tuple[int, ...], int]:
    """Bytes of an array, what stands behind them, its type, shape and number of elements. Programs mostly ask for the same."""
    import numpy

    dtype, shape = numpy.dtype(dtype), _shape(shape)
    if dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape += inner
    count = math.prod(shape)
    return count * dtype.itemsize, _behind(dtype, shape), dtype, shape, count


def plan_unhashable(shape: Any, dtype: Any) -> tuple[int, bytes, Any, tuple[int, ...], int]:
    """The same, of lists and such."""
    return plan.__wrapped__(shape, dtype)


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def place(buffer: Any, dtype: Any, shape: tuple[int, ...], offset: int = 0) -> Any:
    """An array over a buffer, which it holds: `numpy.ndarray(buffer=…)` would give it back at once."""
    import numpy

    count = math.prod(shape)
    if count == 0:
        return numpy.empty(shape, dtype)  # it shows nothing
    return numpy.frombuffer(buffer, dtype, count, offset).reshape(shape)


def _dtype(text: bytes) -> Any:
    """The type that another process wrote; None: it cannot be, or would be dangerous."""
    from numpy.lib import format as npy

    try:
        dtype = npy.descr_to_dtype(ast.literal_eval(text.decode()))
    except Exception:  # noqa: BLE001 - whatever a hostile text may raise
        return None
    return None if dtype.hasobject or dtype.itemsize == 0 else dtype


@lru_cache(maxsize=256)
def _where(footer: bytes, end: int) -> int | None:
    """Where the shape begins, by the footer that stands at `end`."""
    magic, version, dimensions, length, nbytes = FOOTER.unpack(footer)
    if magic != MAGIC or version != VERSION or dimensions > MAX_DIMENSIONS or length > MAX_TEXT:
        return None
    shape = end - length - _padding(length) - 8 * dimensions
    return shape if shape >= nbytes and shape == nbytes + _padding(nbytes) else None


@lru_cache(maxsize=256)
def _what(footer: bytes, said: bytes) -> tuple[Any, tuple[int, ...]] | None:
    """Type and shape that `said` says, which stands before the footer."""
    _, _, dimensions, length, nbytes = FOOTER.unpack(footer)
    lengths = struct.unpack_from(f"<{dimensions}Q", said)
    dtype = _dtype(said[8 * dimensions : 8 * dimensions + length])
    if dtype is None or math.prod(lengths) * dtype.itemsize != nbytes:
        return None
    # Beside a length of 0 others may be anything.
    return (dtype, lengths) if max(lengths, default=0) < 1 << 62 else None


def form(frame: Any) -> tuple[bytes, Any, tuple[int, ...], int]:
    """What stands behind the data of a frame, its type, shape and number of elements; of one that does not say them, of bytes."""
    import numpy

    memory = memoryview(frame)
    end = len(memory) - FOOTER.size
    footer = bytes(memory[end:]) if end >= 0 else b""
    shape = _where(footer, end) if footer else None
    if shape is not None:
        said = bytes(memory[shape:end])
        if found := _what(footer, said):
            return said + footer, *found, math.prod(found[1])
    return b"", numpy.dtype("u1"), (len(memory),), len(memory)


def over(view: Any, dtype: Any, shape: Any, offset: int) -> Any:
    """An array over a view."""
    import numpy

    dtype = numpy.dtype(dtype)
    shape = (max(len(view) - offset, 0) // dtype.itemsize,) if shape is None else _shape(shape)
    return place(view, dtype, shape, offset)
