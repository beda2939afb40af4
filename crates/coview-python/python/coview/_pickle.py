"""Handles in child processes: by their names, or by a descriptor that multiprocessing carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _coview
from ._coview import Mapping, View

if TYPE_CHECKING:
    from ._coview import Access


def pass_on(mapping: Mapping) -> tuple[Any, str]:
    """An unnamed mapping as an argument of `open_mapping` in another process (Linux)."""
    from multiprocessing import reduction

    return reduction.DupFd(_coview.fd(mapping)), mapping.access


def open_mapping(which: Any, access: Access) -> Mapping:
    """The mapping of that name, or behind what multiprocessing has carried."""
    if isinstance(which, str):
        return Mapping.open(which, access)
    import os

    fd = which.detach()
    try:
        return _coview.from_fd(fd)
    finally:
        os.close(fd)


def open_view(mapping: Mapping, offset: int, length: int, access: Access) -> View:
    """The same range in another process."""
    return mapping.view(offset, length, access=access)
