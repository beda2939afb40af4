"""A drop-in for multiprocessing.shared_memory: the same classes and signatures, over coview's mappings.

    from coview import shared_memory      # instead of: from multiprocessing import shared_memory

A block lives as long as some process has it, whatever ends that, and no resource tracker destroys what others use. What differs is in
docs/python.md.
"""

from __future__ import annotations

import os
import secrets
from multiprocessing import shared_memory as _std
from types import FunctionType
from typing import Any

from . import _coview
from ._coview import Mapping

__all__ = ["ShareableList", "SharedMemory"]

_USE_POSIX = os.name == "posix"
_SHM_NAME_PREFIX = "/psm_" if _USE_POSIX else "wnsm_"


def _make_filename() -> str:
    return _SHM_NAME_PREFIX + secrets.token_hex(4)


class SharedMemory:
    """A named block of shared memory.

    create: makes one of that name, or of a new one, with `size` bytes; else opens the live one, with its own size.
    track: accepted, and without effect: there is nothing to track.
    """

    _name: str | None = None
    _mapping: Mapping | None = None
    _buf: memoryview | None = None
    _prepend_leading_slash = _USE_POSIX
    # Its name was taken away before the last handle went.
    _unlinked = False

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        if size < 0 or create and size == 0:
            raise ValueError("'size' must be a positive number of bytes")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        self._mapping = self._make(name, size) if create else self._open(str(name))
        self._size = self._mapping.size
        self._buf = memoryview(self._mapping.view())

    def _open(self, name: str) -> Mapping:
        self._name = "/" + name if self._prepend_leading_slash and not name.startswith("/") else name
        return Mapping.open(self.name, "rw")

    def _make(self, name: str | None, size: int) -> Mapping:
        while True:
            given = _make_filename() if name is None else name
            self._name = "/" + given if self._prepend_leading_slash and not given.startswith("/") else given
            try:
                return Mapping.create(self.name, size, exact=True)
            except FileExistsError:
                if name is not None:
                    raise

    @property
    def buf(self) -> memoryview | None:
        """The bytes; None once it is closed."""
        return self._buf

    @property
    def name(self) -> str:
        """The name by which other processes open it."""
        name = self._name or ""
        return name[1:] if self._prepend_leading_slash and name.startswith("/") else name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def close(self) -> None:
        """Gives it up in this process. What was made of `buf` keeps the memory until it goes."""
        self._buf = None
        if self._mapping is not None:
            if _USE_POSIX:
                self._unlinked |= os.fstat(_coview.fd(self._mapping)).st_nlink == 0
            self._mapping.close()
            self._mapping = None

    def unlink(self) -> None:
        """Takes the name away: who has the block keeps it, nobody else finds it. On Windows it does nothing, as with the standard
        library's. Raises FileNotFoundError if somebody took it away before."""
        if not _USE_POSIX:
            return
        if "\0" in self.name:
            raise ValueError("a name with a null character in it")
        if self._unlinked:
            raise FileNotFoundError(f"the name of {self.name!r} was taken away already")
        if self._mapping is not None:
            _coview.unlink(self._mapping)
        else:
            try:
                _coview.unlink(Mapping.open(self.name, "r"))
            except FileNotFoundError:
                pass  # it went with its last holder
        self._unlinked = True

    def __reduce__(self) -> Any:
        return self.__class__, (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"


def _over_ours(function: Any) -> Any:
    """The installed Python's function, with our SharedMemory."""
    ours = FunctionType(
        function.__code__, {**vars(_std), "SharedMemory": SharedMemory}, function.__name__, function.__defaults__
    )
    ours.__kwdefaults__ = function.__kwdefaults__
    ours.__doc__ = function.__doc__
    return ours


class ShareableList(_std.ShareableList[Any]):
    """The installed Python's own ShareableList, over our SharedMemory."""

    __init__ = _over_ours(_std.ShareableList.__init__)
