"""Region and Latest: values of NumPy types or ctypes structures, the same in Rust and C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from . import _coview
from ._layout import Layout, layout

if TYPE_CHECKING:
    from ._coview import Access


class Region:
    """One typed value in shared memory, by name. Its head describes the type: opening with another is refused with the first field
    that differs.

        Student = coview.record("Student", [("id", "i4"), ("name", "S20")])
        region = coview.Region.create("Room", Student, (7, b"Ada"))
        region.value["id"] = 8            # in place
        region.read()                     # a copy

    Reading copies, and while somebody writes, the copy can be a mixture; for whole values use Latest, or a Mutex for both.
    """

    def __init__(self, raw: _coview.Region, kind: Layout, name: str, access: Access, type: Any) -> None:
        self._raw: _coview.Region | None = raw
        self._layout = kind
        self._again = (name, type, access)

    @classmethod
    def create(cls, name: str, type: Any, value: Any, *, share: str | int = "owner") -> Region:
        """Makes a region of that name with this value. `type`: a NumPy type (a record has a name: `coview.record`) or a ctypes
        structure. Raises AlreadyExistsError (FileExistsError)."""
        kind = layout(type)
        raw = _coview.Region.create(name, kind.schema, kind.encode(value), share)
        return cls(raw, kind, name, "rw", type)

    @classmethod
    def open(cls, name: str, type: Any, *, access: Access = "rw", timeout: float | None = 0) -> Region:
        """Opens the live region of that name. `timeout`: seconds to wait for somebody to make it; none unless said. Raises
        NotFoundError (FileNotFoundError), WrongLayoutError (TypeError)."""
        kind = layout(type)
        raw = _coview.Region.open(name, kind.schema, access, timeout)
        return cls(raw, kind, name, access, type)

    @classmethod
    def open_or_create(cls, name: str, type: Any, value: Any, *, share: str | int = "owner") -> tuple[Region, bool]:
        """Opens the live region of that name or makes one with this value: the region, and whether it was made."""
        kind = layout(type)
        raw, created = _coview.Region.open_or_create(name, kind.schema, kind.encode(value), share)
        return cls(raw, kind, name, "rw", type), created

    @property
    def name(self) -> str:
        """The name it was made or opened by."""
        return self._again[0]

    @property
    def value(self) -> Any:
        """The value in place: an array (of no dimensions, for a record or a number) or the ctypes structure. Writing to it writes to
        the region."""
        return self._layout.over(self._live())

    def read(self) -> Any:
        """A copy of the value."""
        return self._layout.decode(bytes(self._live()))

    def write(self, value: Any) -> None:
        """Writes a value over what there is. Raises TypeError if it was opened for reading."""
        memoryview(self._live())[:] = self._layout.encode(value)

    def close(self) -> None:
        """Closes it. Raises BufferError while `value` is held somewhere."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _live(self) -> _coview.Region:
        if self._raw is None:
            raise ValueError("the region is closed")
        return self._raw

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return _open_region, self._again

    def __repr__(self) -> str:
        return f"<coview.Region {self.name}: {self._layout.schema}>"


def _open_region(name: str, type: Any, access: Access) -> Region:
    return Region.open(name, type, access=access)


class Latest:
    """A named value of which everybody gets the newest: telemetry, state, a setting. Writers and readers never wait for each other,
    and nobody sees half of a value. Without a type it is bytes, of any length up to `capacity`.

        pose = coview.Latest.create("Pose", ("f8", 3))
        pose.writer().set([1.0, 2.0, 3.0])
        coview.Latest.open("Pose", ("f8", 3)).reader().read()
    """

    def __init__(self, raw: _coview.Latest, name: str, type: Any, kind: Layout | None) -> None:
        self._raw, self._layout, self._again = raw, kind, (name, type)

    @classmethod
    def create(
        cls,
        name: str,
        type: Any = None,
        *,
        capacity: int = 65536,
        several_writers: bool = False,
        share: str | int = "owner",
    ) -> Latest:
        """Makes one of that name, without a value yet. Raises AlreadyExistsError (FileExistsError)."""
        kind = None if type is None else layout(type)
        raw = _coview.Latest.create(name, None if kind is None else kind.schema, capacity, several_writers, share)
        return cls(raw, name, type, kind)

    @classmethod
    def open(cls, name: str, type: Any = None) -> Latest:
        """Opens the live one. Raises NotFoundError (FileNotFoundError), WrongLayoutError (TypeError)."""
        kind = None if type is None else layout(type)
        return cls(_coview.Latest.open(name, None if kind is None else kind.schema), name, type, kind)

    @classmethod
    def open_or_create(
        cls,
        name: str,
        type: Any = None,
        *,
        capacity: int = 65536,
        several_writers: bool = False,
        share: str | int = "owner",
    ) -> Latest:
        """Opens the live one or makes one."""
        kind = None if type is None else layout(type)
        raw = _coview.Latest.open_or_create(
            name, None if kind is None else kind.schema, capacity, several_writers, share
        )
        return cls(raw, name, type, kind)

    @property
    def name(self) -> str:
        """The name it was made or opened by."""
        return self._again[0]

    def writer(self) -> Writer:
        """Attaches a writer. Raises AlreadyExistsError if somebody writes already and it is for one."""
        return Writer(self._raw.writer(), self._layout)

    def reader(self) -> Reader:
        """A reader, which has seen no value yet."""
        return Reader(self._raw.reader(), self._layout)

    def __reduce__(self) -> Any:
        return Latest.open, self._again

    def __repr__(self) -> str:
        return f"<coview.Latest {self.name}>"


class Writer:
    """The end that writes. Closed or forgotten, it is free for another."""

    def __init__(self, raw: _coview.Writer, kind: Layout | None) -> None:
        self._raw, self._layout = raw, kind

    def set(self, value: Any) -> None:
        """Makes it the newest, and wakes the readers that wait for one."""
        self._raw.set(value if self._layout is None else self._layout.encode(value))

    def close(self) -> None:
        """Ends it."""
        self._raw.close()


class Reader:
    """A reader, and which value it has seen last."""

    def __init__(self, raw: _coview.Reader, kind: Layout | None) -> None:
        self._raw, self._layout = raw, kind

    def _value(self, data: bytes | None) -> Any:
        return data if data is None or self._layout is None else self._layout.decode(data)

    def read(self) -> Any:
        """The newest value; None if there has been none yet."""
        return self._value(self._raw.read())

    def changed(self, timeout: float | None = None) -> Any:
        """The newest value once it is another than the last this reader got; waits for at most `timeout` seconds, then
        TimedOutError (TimeoutError). Raises PeerDiedError (BrokenPipeError), once for each death, when a writer died."""
        return self._value(self._raw.changed(timeout))

    def try_changed(self) -> Any:
        """The newest value if it is another than the last this reader got; else None."""
        return self._value(self._raw.try_changed(0))

    async def changed_async(self) -> Any:
        """As `changed`, in asyncio. Cancelled, it has seen nothing."""
        return self._value(await self._raw.changed_async())

    def writers(self) -> list[int]:
        """Numbers of the processes that write."""
        return self._raw.writers()

    def close(self) -> None:
        """Ends it."""
        self._raw.close()
