"""Layouts of values: NumPy types and ctypes structures as the library writes them down, and values to and from their bytes."""

from __future__ import annotations

import ctypes
from typing import Any

from ._arrays import place
from ._coview import Schema

_SIGNED, _UNSIGNED, _FLOAT = "bhilq", "BHILQc", "fd"


def record(name: str, fields: Any, *, align: bool = True) -> Any:
    """A NumPy structured type with a name: that of the Rust or C struct. `fields` as numpy.dtype takes them, or such a type.

    align: fields stand where a C compiler puts them. A field that is a record has a name of its own.
    """
    import numpy

    return numpy.dtype(numpy.dtype(fields, align=align), metadata={"coview": name})


class Layout:
    """What a value's bytes mean.

    schema: as the library has it. encode(value): its bytes. decode(bytes): a value. over(buffer): the value in place.
    """

    schema: Schema

    def encode(self, value: Any) -> Any:
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError

    def over(self, buffer: Any) -> Any:
        raise NotImplementedError


def layout(kind: Any) -> Layout:
    """The layout of a NumPy type, of what numpy.dtype makes one of, or of a ctypes type."""
    if isinstance(kind, type) and issubclass(kind, _CTYPES):
        return _Ctypes(kind)
    return _Numpy(kind)


_CTYPES = (ctypes.Structure, ctypes.Array, ctypes._SimpleCData)


class _Ctypes(Layout):
    def __init__(self, kind: Any) -> None:
        self.kind, self.schema = kind, _of_ctypes(kind)

    def encode(self, value: Any) -> Any:
        if not isinstance(value, self.kind):
            value = self.kind(*value) if isinstance(value, (tuple, list)) else self.kind(value)
        return bytes(value)

    def decode(self, data: bytes) -> Any:
        return self.kind.from_buffer_copy(data)

    def over(self, buffer: Any) -> Any:
        return self.kind.from_buffer(buffer)


class _Numpy(Layout):
    def __init__(self, kind: Any) -> None:
        import numpy

        dtype = numpy.dtype(kind)
        self.schema = _of_numpy(dtype)
        self.dtype: Any = dtype.base
        self.shape: tuple[int, ...] = dtype.shape

    def encode(self, value: Any) -> Any:
        import numpy

        array = numpy.zeros(self.shape, self.dtype)
        if isinstance(value, dict):
            for field, part in value.items():
                array[field] = part
        elif numpy.shape(value) == self.shape or self.dtype.names:
            array[...] = value
        else:
            raise ValueError(f"a value has the shape {self.shape}, and {numpy.shape(value)} was given")
        return array.tobytes()

    def decode(self, data: bytes) -> Any:
        return self.over(bytearray(data))[()]

    def over(self, buffer: Any) -> Any:
        return place(buffer, self.dtype, self.shape)


def _array(schema: Schema, lengths: Any) -> Schema:
    for length in reversed(lengths):
        schema = schema.array(length)
    return schema


def _of_ctypes(kind: Any) -> Schema:
    size = ctypes.sizeof(kind)
    if hasattr(kind, "_swappedbytes_"):
        raise TypeError(f"{kind.__name__} has the other byte order")
    if issubclass(kind, ctypes.Array):
        return _of_ctypes(kind._type_).array(kind._length_)
    if issubclass(kind, ctypes.Structure):
        fields = [field for base in reversed(kind.__mro__) for field in vars(base).get("_fields_", ())]
        if any(len(field) != 2 for field in fields):
            raise TypeError(f"{kind.__name__} has bit fields, which other languages put elsewhere")
        parts = [(name, getattr(kind, name).offset, _of_ctypes(part)) for name, part in fields]
        return Schema.record(kind.__name__, size, parts)
    for form, codes in (("i", _SIGNED), ("u", _UNSIGNED), ("f", _FLOAT)):
        if kind._type_ in codes:
            return Schema.number(form, size)
    raise TypeError(f"{kind.__name__} cannot stand in shared memory: not every pattern of bytes is a value of it")


def _of_numpy(dtype: Any) -> Schema:
    if dtype.subdtype is not None:
        return _array(_of_numpy(dtype.base), dtype.shape)
    if not dtype.isnative:
        raise TypeError(f"{dtype} has the other byte order")
    if dtype.names is not None:
        name = (dtype.metadata or {}).get("coview")
        if name is None:
            raise TypeError('a structured type needs a name: coview.record("Name", [("field", "f8"), …])')
        parts = [(field, dtype.fields[field][1], _of_numpy(dtype.fields[field][0])) for field in dtype.names]
        return Schema.record(name, dtype.itemsize, parts)
    if dtype.kind in "uif" and dtype.itemsize <= 8 and dtype != "f2":
        return Schema.number(dtype.kind, dtype.itemsize)
    if dtype.kind in "SV":
        return Schema.number("u", 1).array(dtype.itemsize)
    raise TypeError(f"{dtype} cannot stand in shared memory: numbers, arrays of them, bytes (S20) and records can")
