"""Reads telemetry that a Windows program publishes as a C structure in named memory, as racing simulators and sensor tools do:
`python telemetry.py NAME` reads once; without a name it plays the publisher itself.

On Windows, and from a Linux program under coview, the name is the one that the publisher gives CreateFileMapping.
"""

import ctypes
import os
import sys

import coview


class Telemetry(ctypes.Structure):
    """As the publisher's header declares it."""

    _fields_ = [
        ("version", ctypes.c_uint32),
        ("sequence", ctypes.c_uint32),  # odd while it is being written
        ("speed", ctypes.c_float),  # m/s
        ("rpm", ctypes.c_float),
        ("track", ctypes.c_char * 32),
    ]


def read(name: str) -> Telemetry:
    """A copy that was not being written."""
    with coview.Mapping.open(name, "r") as mapping:
        view = mapping.view(0, ctypes.sizeof(Telemetry))
        while True:
            before, copy, after = (Telemetry.from_buffer_copy(view.read()) for _ in range(3))
            if before.sequence == after.sequence and before.sequence % 2 == 0:
                return copy


def publish(name: str) -> coview.View:
    """What the other program does."""
    view = coview.Mapping.create(name, ctypes.sizeof(Telemetry)).view()
    there = Telemetry.from_buffer(view)
    there.sequence += 1
    there.version, there.speed, there.rpm, there.track = 1, 61.5, 8200, b"Nordschleife"
    there.sequence += 1
    return view


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else f"Telemetry {os.getpid()}"
    _keep = publish(name) if len(sys.argv) < 2 else None
    now = read(name)
    print(f"{now.track.decode()}: {now.speed * 3.6:.0f} km/h at {now.rpm:.0f} rpm")


if __name__ == "__main__":
    main()
