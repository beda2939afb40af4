"""Named shared memory with the Windows object model, on Windows and Linux.

Mapping, View        memory by name, mapped ranges of it as buffers
Mutex, Event, Semaphore   by name, robust against any death
Region, Latest       a typed value; the newest of a stream
Ring, Frames         records of bytes; NumPy arrays, read in place
shared_memory, mmap  for programs that were written for the standard library's
inspect              what there is, and who holds it

A call that waits takes ``timeout=`` in seconds and raises TimedOutError, a TimeoutError, when it is over; without one it waits for
as long as it takes. ``try_…`` only looks. No wait holds the GIL, and Ctrl-C ends each.
"""

from . import inspect, shared_memory
from ._coview import (
    Abandoned,
    Buffer,
    Event,
    Frame,
    Frames,
    Loan,
    Lock,
    Mapping,
    Mutex,
    Publisher,
    Receiver,
    Ring,
    Semaphore,
    Sender,
    Subscriber,
    View,
    __version__,
)
from ._errors import (
    AccessDeniedError,
    AlreadyExistsError,
    CorruptError,
    Error,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    OsError,
    OutOfMemoryError,
    OutOfRangeError,
    PeerDiedError,
    TimedOutError,
    UnsupportedError,
    VanishedError,
    WrongKindError,
    WrongLayoutError,
)
from ._layout import record
from ._mmap import mmap
from ._typed import Latest, Reader, Region, Writer

__all__ = [
    "Abandoned",
    "AccessDeniedError",
    "AlreadyExistsError",
    "Buffer",
    "CorruptError",
    "Error",
    "Event",
    "Frame",
    "Frames",
    "InvalidInputError",
    "InvalidNameError",
    "Latest",
    "Loan",
    "Lock",
    "Mapping",
    "Mutex",
    "NotFoundError",
    "OsError",
    "OutOfMemoryError",
    "OutOfRangeError",
    "PeerDiedError",
    "Publisher",
    "Reader",
    "Receiver",
    "Region",
    "Ring",
    "Semaphore",
    "Sender",
    "Subscriber",
    "TimedOutError",
    "UnsupportedError",
    "VanishedError",
    "View",
    "Writer",
    "WrongKindError",
    "WrongLayoutError",
    "__version__",
    "inspect",
    "mmap",
    "record",
    "shared_memory",
]
