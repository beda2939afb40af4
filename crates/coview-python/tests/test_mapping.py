"""Mappings and views: names, lifetimes, buffers, windows."""

import ctypes
import gc
import os
import signal
import subprocess
import sys

import numpy
import pytest

import coview
from coview import Mapping

OPEN_AND_WRITE = """
    import sys, coview
    with coview.Mapping.open(sys.argv[1]) as mapping:
        mapping.view().write(3, b"from a child")
"""


def test_processes_share_by_name(name, child):
    mapping = Mapping.create(name, 4096)
    assert (mapping.size, mapping.name, mapping.protection) == (4096, "Local\\" + name, "rw")
    child(OPEN_AND_WRITE, name).end()
    view = mapping.view()
    assert view.read(3, 12) == b"from a child"
    assert bytes(memoryview(view)[3:7]) == b"from"
    with pytest.raises(FileExistsError):
        Mapping.create(name, 4096)
    again, created = Mapping.open_or_create(name, 99)
    assert (created, again.size) == (False, 4096)


def test_errors_are_built_in_ones_with_the_library_s_words(name):
    with pytest.raises(FileNotFoundError, match=name) as caught:
        Mapping.open(name)
    error = caught.value
    assert isinstance(error, coview.Error) and isinstance(error, coview.NotFoundError)
    assert (error.errno, error.operation, error.object) == (2, "open", "Local\\" + name)
    with pytest.raises(ValueError):
        Mapping.open("")
    with pytest.raises(ValueError, match="size 0"):
        Mapping.create(name, 0)
    with pytest.raises(MemoryError):
        Mapping.create(name, 1 << 46)
    mapping = Mapping.create(name, 4096)
    with pytest.raises(coview.WrongKindError):
        coview.Mutex.open(name)
    reader = Mapping.open(name, "r")
    with pytest.raises(PermissionError):
        reader.view(access="rw")
    with pytest.raises(IndexError):
        mapping.view(4000, 200)
    view = mapping.view(access="r")
    with pytest.raises(IndexError):
        view.read(4090, 7)
    with pytest.raises(IndexError):
        view.read(2**63, 2**63)
    with pytest.raises(PermissionError):
        view.write(0, b"x")
    with pytest.raises(IndexError):
        mapping.view().write(4090, b"sevenxx")
    with pytest.raises(ValueError, match="access"):
        mapping.view(access="w")
    with pytest.raises(ValueError, match="share"):
        Mapping.create(name + "x", 1, share="all")


def test_a_name_is_free_when_the_last_view_is_gone(name):
    mapping = Mapping.create(name, 4096)
    array = mapping.view().array("u8")
    mapping.close()
    with pytest.raises(ValueError, match="closed"):
        mapping.view()
    array[0] = 7
    assert Mapping.open(name).view().array("u8")[0] == 7
    part = array[1:].reshape(-1)  # keeps the memory, too
    del array
    assert Mapping.open(name).size == 4096
    del part
    gc.collect()
    with pytest.raises(FileNotFoundError):
        Mapping.open(name)


def test_what_is_made_over_a_view_keeps_its_memory(name):
    view = Mapping.create(name, 4096).view()
    memory = memoryview(view)
    with pytest.raises(BufferError, match="drop them first"):
        view.close()
    array = numpy.frombuffer(memory, "f8")
    del view
    gc.collect()
    memory[0:8] = bytes(8)
    array[1] = 2.5
    assert array[:2].tolist() == [0.0, 2.5]
    memory.release()  # the array has its own hold
    array[1] = 3.5


def test_numpy_may_forget_to_hold_a_buffer(name):
    """`numpy.ndarray(buffer=…)` gives the buffer back at once and keeps the object alone."""
    mapping = Mapping.create(name, 4096)
    view = mapping.view()
    array = numpy.ndarray((512,), "f8", buffer=view)
    view.close()
    with pytest.raises(ValueError, match="closed"):
        view.read()
    with pytest.raises(ValueError, match="closed"):
        memoryview(view)
    del view
    gc.collect()
    array[:] = 1.5
    assert mapping.view().array("f8").sum() == 768


def test_access_is_that_of_the_buffer(name):
    mapping = Mapping.create(name, 4096)
    reading = mapping.view(access="r")
    assert memoryview(reading).readonly and not memoryview(mapping.view()).readonly
    array = numpy.frombuffer(reading, "u1")
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises((TypeError, BufferError)):
        ctypes.c_char.from_buffer(reading)
    private = mapping.view(access="c")
    private.array("u1")[0] = 9
    assert (private.read(0, 1), reading.read(0, 1)) == (b"\x09", b"\x00")


def test_writes_of_any_buffer_also_of_the_view_itself(name):
    view = Mapping.create(name, 200_000).view()
    numbers = numpy.arange(20_000, dtype="f8")
    view.write(8, numbers)
    assert (view.array("f8", (20_000,), offset=8) == numbers).all()
    view.write(16, memoryview(view)[8:24])
    assert view.array("f8")[:4].tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="contiguous"):
        view.write(0, numbers.reshape(100, 200).T)
    with pytest.raises(TypeError):
        view.write(0, "text")


def test_reserved_memory_is_no_buffer_before_it_is_committed(name):
    mapping = Mapping.create(name, 1 << 20, reserve=True)
    view = mapping.view(65536, 65536)
    with pytest.raises(IndexError, match="commit"):
        memoryview(view)
    mapping.commit(65536, 65536)
    memoryview(view)[0] = 1
    assert mapping.is_reserved


def test_windows_walk_all_of_it(name):
    mapping = Mapping.create(name, 1_000_000, exact=True)
    numpy.frombuffer(mapping.view(), "u1")[:] = 1
    windows = [(view.offset, len(view)) for view in mapping.windows(300_000, overlap=7, start=100)]
    assert windows == [(100, 300_000), (300_093, 300_000), (600_086, 300_000), (900_079, 99_921)]
    total = sum(int(view.array("u1").sum()) for view in mapping.windows(4096, access="r"))
    assert total == 1_000_000
    with pytest.raises(ValueError):
        mapping.windows(8, overlap=8)


def test_a_file_is_memory(name, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"hello" * 1000)
    with Mapping.create(name, file=path) as mapping, mapping.view() as view:
        assert mapping.size == 5000
        view.write(0, b"HELLO")
        view.advise("sequential")
        view.prefault()
        view.flush()
        with pytest.raises(ValueError, match="say normal"):
            view.advise("fast")
    assert path.read_bytes()[:10] == b"HELLOhello"
    assert Mapping.open(f"file:{path}", "r").view().read(5, 5) == b"hello"


def test_handed_to_a_child_without_a_name(name):
    mapping = Mapping.create(None, 4096)
    mapping.view().write(0, b"inherited")
    variable, value = mapping.hand_over("DATA")
    code = "import coview; print(coview.Mapping.inherited('DATA').view().read(0, 9).decode())"
    environment = {**os.environ, variable: value}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment, close_fds=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "inherited", done.stderr


def test_a_killed_process_leaves_nothing(name, child):
    other = child(
        """
        import sys, coview
        mapping = coview.Mapping.create(sys.argv[1], 1 << 20)
        array = mapping.view().array("u1")
        print("made", flush=True)
        sys.stdin.readline()
        """,
        name,
    )
    other.hear()
    mine = Mapping.open(name)
    other.kill()
    assert mine.size == 1 << 20
    del mine
    with pytest.raises(FileNotFoundError):
        Mapping.open(name)


def test_a_wild_child_dies_alone(name, child):
    """A read-only view is read-only for C code, too."""
    mapping = Mapping.create(name, 4096)
    other = child(
        """
        import ctypes, sys, numpy, coview
        view = coview.Mapping.open(sys.argv[1], "r").view()
        address = numpy.frombuffer(view, "u1").ctypes.data
        print("there", flush=True)
        ctypes.memset(address, 255, 10)
        """,
        name,
    )
    other.hear()
    assert other.process.wait(30) == -signal.SIGSEGV
    assert mapping.view().read(0, 10) == bytes(10)


def test_what_there_is_can_be_asked(name):
    mapping = Mapping.create(name, 4096)
    entry = next(entry for entry in coview.inspect.objects() if entry["name"] == mapping.name)
    assert entry["size"] == 4096 and os.getpid() in [pid for pid, _ in entry["holders"]]
