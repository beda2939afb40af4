"""The library's errors: each is an Error, and the built-in exception that Python programs expect."""

from __future__ import annotations

import errno as numbers


class Error(Exception):
    """What the library or the system refused. The text says what to do next.

    operation: the verb; object: the name of what it was about, or None.
    """

    operation: str
    object: str | None


class NotFoundError(Error, FileNotFoundError):
    """No live object has the name."""


class AlreadyExistsError(Error, FileExistsError):
    """A live object has the name already, or all ends of a channel are taken."""


class AccessDeniedError(Error, PermissionError):
    """The access list, the protection or the operating system forbids it."""


class WrongKindError(Error, ValueError):
    """The name belongs to an object of another kind."""


class TimedOutError(Error, TimeoutError):
    """The time allowed is over."""


class InvalidNameError(Error, ValueError):
    """The name breaks a rule."""


class InvalidInputError(Error, ValueError):
    """An option or an argument makes no sense."""


class OutOfRangeError(Error, IndexError):
    """An offset or a length lies outside the object."""


class OutOfMemoryError(Error, MemoryError):
    """The memory, space or address range cannot be had."""


class VanishedError(Error, OSError):
    """The bytes behind the object were truncated, moved or removed."""


class CorruptError(Error, ValueError):
    """What another process left in shared memory is not what its format promises."""


class UnsupportedError(Error, NotImplementedError):
    """This system or this kind of object cannot do it."""


class OsError(Error, OSError):
    """Any other refusal by the operating system."""


class PeerDiedError(Error, BrokenPipeError):
    """The process at the other end of a channel died."""


class WrongLayoutError(Error, TypeError):
    """The region holds a value of another type or layout than was asked for."""


# By the library's fixed numbers of the kinds, with the errno of those that are an OSError.
_KINDS: dict[int, tuple[type[Error], int | None]] = {
    1: (NotFoundError, numbers.ENOENT),
    2: (AlreadyExistsError, numbers.EEXIST),
    3: (AccessDeniedError, numbers.EACCES),
    4: (WrongKindError, None),
    5: (TimedOutError, numbers.ETIMEDOUT),
    6: (InvalidNameError, None),
    7: (InvalidInputError, None),
    8: (OutOfRangeError, None),
    9: (OutOfMemoryError, None),
    10: (VanishedError, numbers.EIO),
    11: (CorruptError, None),
    12: (UnsupportedError, None),
    13: (OsError, numbers.EIO),
    14: (PeerDiedError, numbers.EPIPE),
    15: (WrongLayoutError, None),
}


def make(code: int, message: str, operation: str, object: str | None, errno: int | None) -> Error:
    """The exception for an error of the library."""
    cls, usual = _KINDS.get(code, (Error, None))
    error = cls(message)
    error.operation, error.object = operation, object
    if isinstance(error, OSError):
        error.errno = errno or usual
    return error
