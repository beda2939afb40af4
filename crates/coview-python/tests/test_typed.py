"""Regions and latest values: NumPy types, ctypes structures, layouts."""

import ctypes
import os

import numpy
import pytest

import coview
from coview import Latest, Region

STUDENT = coview.record("Student", [("id", "i4"), ("name", "S20")])


class Student(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("name", ctypes.c_char * 20)]


def test_numpy_and_ctypes_mean_the_same(name):
    region = Region.create(name, STUDENT, (7, b"Ada"))
    assert region.read()["name"] == b"Ada"
    other = Region.open(name, Student)
    assert (other.read().id, other.read().name) == (7, b"Ada")
    other.value.id = 8
    assert region.value["id"] == 8
    region.write({"id": 9, "name": b"Grace"})
    assert (other.value.id, other.value.name) == (9, b"Grace")
    other.write(Student(10, b"Alan"))
    assert region.read().tolist() == (10, b"Alan")
    assert "Student" in repr(region)


def test_another_layout_is_refused_by_the_first_field(name):
    region = Region.create(name, STUDENT, (7, b"Ada"))
    wider = coview.record("Student", [("id", "i8"), ("name", "S20")])
    with pytest.raises(TypeError, match=r"field 1: expected `id: i64` at 0, found `id: i32` at 0") as caught:
        Region.open(name, wider)
    assert isinstance(caught.value, coview.WrongLayoutError)
    with pytest.raises(TypeError, match="Pupil"):
        Region.open(name, coview.record("Pupil", [("id", "i4"), ("name", "S20")]))
    with pytest.raises(FileExistsError):
        Region.create(name, "f8", 1.0)
    region.close()
    with pytest.raises(FileNotFoundError):
        Region.open(name, STUDENT, timeout=0.05)


def test_all_kinds_of_values(name):
    leg = coview.record("Leg", [("angle", "f8"), ("force", "i4", 2)])
    robot = coview.record("Robot", [("seq", "u8"), ("legs", leg, (4,)), ("pose", "f4", (4, 2))])
    for index, (kind, value) in enumerate(
        [
            ("f8", 2.5),
            (("u2", (2, 3)), [[1, 2, 3], [4, 5, 6]]),
            ("S5", b"abc"),
            (ctypes.c_int16, -3),
            (ctypes.c_float * 2, (1, 2)),
        ]
    ):
        region = Region.create(f"{name}-{index}", kind, value)
        read = region.read()
        read = read.value if isinstance(read, ctypes._SimpleCData) else read
        assert numpy.array_equal(list(read) if isinstance(read, ctypes.Array) else read, value)
    region = Region.create(name, robot, numpy.zeros((), robot))
    region.value["legs"][3]["force"][1] = 5
    assert region.read()["legs"]["force"].sum() == 5
    again, created = Region.open_or_create(name, robot, numpy.ones((), robot))
    assert not created and again.read()["seq"] == 0


def test_what_cannot_stand_in_shared_memory(name):
    class Packed(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint64)]

    class Bits(ctypes.Structure):
        _fields_ = [("a", ctypes.c_uint8, 3)]

    class Big(ctypes.BigEndianStructure):
        _fields_ = [("a", ctypes.c_uint32)]

    class Address(ctypes.Structure):
        _fields_ = [("a", ctypes.c_void_p)]

    for kind in [Packed, Bits, Big, Address, "?", "O", ">f8", "c16", [("a", "f8")], "U5"]:
        with pytest.raises((TypeError, ValueError)):
            Region.create(name, kind, 0)
    assert not [entry for entry in coview.inspect.objects() if name in entry["name"]]


def test_a_reader_cannot_write(name):
    Region_ = Region.create(name, "f8", 1.0)
    reader = Region.open(name, "f8", access="r")
    with pytest.raises(TypeError, match="read-only"):
        reader.write(2.0)
    with pytest.raises(ValueError, match="read-only"):
        reader.value[...] = 2.0
    assert Region_.read() == 1.0
    held = reader.value
    with pytest.raises(BufferError):
        reader.close()
    del held
    reader.close()
    reader.close()


def test_opening_waits_for_the_maker(name, child):
    other = child(
        """
        import sys, coview
        sys.stdin.readline()
        region = coview.Region.create(sys.argv[1], "u4", 7)
        sys.stdin.readline()
        """,
        name,
    )
    other.say()
    assert Region.open(name, "u4", timeout=30).read() == 7
    other.end()


def test_latest_values(name, child):
    pose = Latest.create(name, ("f8", 3))
    reader = pose.reader()
    assert reader.read() is None and reader.try_changed() is None
    other = child(
        """
        import sys, coview
        writer = coview.Latest.open(sys.argv[1], ("f8", 3)).writer()
        writer.set([1.0, 2.0, 3.0])
        sys.stdin.readline()
        """,
        name,
    )
    assert reader.changed(timeout=30).tolist() == [1.0, 2.0, 3.0]
    assert reader.writers() == [other.process.pid]
    with pytest.raises(TimeoutError):
        reader.changed(timeout=0.01)
    other.kill()
    with pytest.raises(BrokenPipeError):
        reader.changed(timeout=30)
    writer = pose.writer()
    with pytest.raises(FileExistsError):
        pose.writer()
    with pytest.raises(ValueError, match="shape"):
        writer.set([1.0, 2.0])
    writer.set((4, 5, 6))
    assert reader.read().tolist() == [4, 5, 6]
    writer.close()
    with pytest.raises(TypeError):
        Latest.open(name, ("f4", 3))


def test_latest_bytes_and_structures(name):
    text = Latest.create(name, capacity=100)
    text.writer().set(b"any length")
    assert Latest.open(name).reader().read() == b"any length"
    with pytest.raises(IndexError):
        text.writer().set(bytes(101))
    student = Latest.create(name + "s", Student, several_writers=True)
    student.writer().set(Student(1, b"x"))
    assert student.reader().read().name == b"x"
    assert Latest.open_or_create(name + "s", STUDENT).reader().read()["id"] == 1


def test_a_spoiled_head_is_corrupt_and_no_crash(name):
    region = Region.create(name, STUDENT, (7, b"Ada"))
    raw = coview.Mapping.open(name).view()
    for at in range(0, 200, 8):
        head = raw.read(at, 8)
        raw.write(at, os.urandom(8))
        try:
            Region.open(name, STUDENT).read()
        except coview.Error:
            pass
        raw.write(at, head)
    raw.write(0, os.urandom(8))
    with pytest.raises(coview.WrongKindError):
        Region.open(name, STUDENT)
    assert region.read()["id"] == 7
