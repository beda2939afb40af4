"""The drop-in for multiprocessing.shared_memory, by CPython's own tests and by what those do not ask; and mmap by a tag name."""

import gc
import importlib.util
import mmap as std_mmap
import os
import pathlib
import subprocess
import sys

import numpy
import pytest

import coview
from coview.shared_memory import ShareableList, SharedMemory

CPYTHON = pathlib.Path(__file__).with_name("cpython_shared_memory.py")


def cpython_tests():
    spec = importlib.util.find_spec("test")
    folders = spec.submodule_search_locations if spec else []
    return any((pathlib.Path(folder) / "_test_multiprocessing.py").exists() for folder in folders)


@pytest.mark.skipif(not cpython_tests(), reason="this Python has no test package (Debian: libpython3-testsuite)")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_cpython_s_own_tests_pass(method):
    command = [sys.executable, str(CPYTHON), method, "WithProcessesTestSharedMemory", "-v"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    results = [line for line in done.stderr.splitlines() if " ... " in line or line in ("ok", "FAIL", "ERROR")]
    assert done.returncode == 0, done.stderr
    assert len(results) >= 10 and "OK" in done.stderr.splitlines()[-1], done.stderr


def test_a_killed_process_s_block_lives_on_for_others_and_then_goes(child):
    code = """
        import sys
        from coview.shared_memory import SharedMemory
        block = SharedMemory(create=True, size=10) if len(sys.argv) < 2 else SharedMemory(sys.argv[1])
        print(block.name, flush=True)
        sys.stdin.readline()
    """
    maker = child(code)
    name = maker.hear()
    user = child(code, name)
    user.hear()
    maker.kill()
    # The standard library's tracker would destroy it now.
    block = SharedMemory(name)
    block.close()
    user.end()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)


def test_an_array_outlives_its_block():
    """Where the standard library's segfaults, or refuses to close."""
    block = SharedMemory(create=True, size=8000)
    array = numpy.ndarray((1000,), "f8", buffer=block.buf)
    block.close()
    block.unlink()
    del block
    gc.collect()
    array[:] = 2.0
    assert array.sum() == 2000
    del array


def test_unlink_takes_the_name_alone():
    block = SharedMemory(create=True, size=100)
    other = SharedMemory(block.name)
    block.unlink()
    with pytest.raises(FileNotFoundError):
        SharedMemory(other.name)
    again = SharedMemory(block.name, create=True, size=100)
    other.buf[0] = 7
    assert (block.buf[0], again.buf[0]) == (7, 0)
    with pytest.raises(FileNotFoundError):
        block.unlink()
    for each in (block, other, again):
        each.close()
    assert block.buf is None
    block.close()


def test_blocks_are_mappings(name):
    block = SharedMemory(name, create=True, size=10)
    block.buf[:] = b"0123456789"
    mapping = coview.Mapping.open(name)
    assert (mapping.size, mapping.view().read()) == (10, b"0123456789")
    with pytest.raises(ValueError):
        SharedMemory("a\0b")
    numbers = ShareableList([1, "two", 3.0], name=name + "-list")
    assert list(ShareableList(name=numbers.shm.name)) == [1, "two", 3.0]


def test_mmap_by_a_tag_name(name, child):
    memory = coview.mmap(-1, 1000, tagname=name)
    assert isinstance(memory, std_mmap.mmap) and len(memory) == 1000
    memory.write(b"from the first\n")
    other = child(
        """
        import sys, coview
        with coview.mmap(-1, 1000, sys.argv[1]) as memory:
            assert memory.readline() == b"from the first\\n"
            memory[100:105] = b"child"
        """,
        name,
    )
    other.end()
    assert memory.find(b"child") == 100
    assert coview.Mapping.open(name, "r").size == 1000
    with pytest.raises(SystemError):
        memory.resize(2000)
    with pytest.raises(ValueError):
        coview.mmap(-1, 5000, tagname=name)  # more than there is
    reader = coview.mmap(-1, 1000, tagname=name, access=std_mmap.ACCESS_READ)
    with pytest.raises(TypeError):
        reader[0] = 1
    reader.close()
    memory.close()
    with pytest.raises(FileNotFoundError):
        coview.Mapping.open(name)
    with pytest.raises(ValueError):
        coview.mmap(-1, 0, tagname=name)
    anonymous = coview.mmap(-1, 100)
    anonymous[0] = 1
    anonymous.close()


def test_mmap_of_a_file_by_a_tag_name(name, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * 8192)
    with open(path, "r+b") as file, coview.mmap(file.fileno(), 0, tagname=name) as memory:
        memory[:5] = b"hello"
        assert coview.Mapping.open(name, "r").view().read(0, 5) == b"hello"
        part = coview.mmap(file.fileno(), 10, tagname=name, offset=std_mmap.ALLOCATIONGRANULARITY)
        assert part[:] == b"x" * 10
        part.close()
    assert path.read_bytes()[:5] == b"hello" and os.path.getsize(path) == 8192
