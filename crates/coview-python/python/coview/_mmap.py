"""`mmap` with a tag name, as Windows has it, on Linux too."""

from __future__ import annotations

import mmap as _std
import os
import sys
from typing import Self

from . import _coview
from ._coview import Mapping

if sys.platform == "win32":
    mmap = _std.mmap
else:

    class mmap(_std.mmap):
        """mmap(fileno, length, tagname=None, access=mmap.ACCESS_DEFAULT, offset=0): the standard library's, with Windows' signature.

        With a tag name it shows the mapping of that name, which is made if there is none; all programs that give the name see the
        same bytes, whatever they are written in. It lives as long as somebody has it. `fileno` -1 is memory, else a file.
        """

        _mapping: Mapping

        def __new__(
            cls,
            fileno: int,
            length: int,
            tagname: str | None = None,
            access: int = _std.ACCESS_DEFAULT,
            offset: int = 0,
        ) -> Self:
            if tagname is None:
                return super().__new__(cls, fileno, length, access=access, offset=offset)
            file = None if fileno == -1 else os.readlink(f"/proc/self/fd/{fileno}")
            if file is None and length <= 0:
                raise ValueError("memory has no length of its own: say how many bytes")
            size = offset + length if length else 0
            read_only = file is not None and access == _std.ACCESS_READ
            mapping, _ = Mapping.open_or_create(
                tagname, size, exact=file is None, protection="r" if read_only else "rw", file=file
            )
            # Its own descriptor carries the hold on the name.
            self = super().__new__(cls, _coview.fd(mapping), length, access=access, offset=offset)
            self._mapping = mapping
            return self

        def close(self) -> None:
            super().close()
            mapping = self.__dict__.pop("_mapping", None)
            if mapping is not None:
                mapping.close()

        def resize(self, newsize: int) -> None:
            if "_mapping" in self.__dict__:
                raise SystemError("a mapping with a name has the size that it was made with: others have it, too")
            super().resize(newsize)
