"""Rings and frames: bytes and arrays between processes, with kills."""

import gc
import threading

import numpy
import pytest

from coview import Frames, Ring


def test_a_ring_between_processes(name, child):
    ring = Ring.create(name, 4096)
    other = child(
        """
        import sys, coview
        sender = coview.Ring.open(sys.argv[1]).sender()
        for number in range(1000):
            sender.send(b"record %d " % number * 20)
        print("sent", flush=True)
        sys.stdin.readline()
        """,
        name,
    )
    receiver = ring.receiver()
    for number in range(1000):
        assert receiver.receive(timeout=30) == b"record %d " % number * 20
    other.hear()
    assert receiver.senders() == [other.process.pid] and receiver.try_receive() is None
    with pytest.raises(TimeoutError):
        receiver.receive(timeout=0.01)
    other.kill()
    with pytest.raises(BrokenPipeError):
        receiver.receive(timeout=30)
    with pytest.raises(FileExistsError):
        ring.receiver()
    receiver.close()
    with pytest.raises(ValueError, match="closed"):
        receiver.receive()


def test_a_full_ring(name):
    ring = Ring.create(name, 4096)
    sender, receiver = ring.sender(), ring.receiver()
    assert (ring.capacity, sender.record_max) == (4096, 2032)
    while sender.try_send(numpy.arange(100)):
        pass
    with pytest.raises(TimeoutError):
        sender.send(bytes(800), timeout=0.01)
    assert receiver.receive() == numpy.arange(100).tobytes()
    with pytest.raises(IndexError):
        sender.send(bytes(2033))
    with pytest.raises(TypeError):
        sender.send("text")


def test_threads_take_turns_with_an_end(name):
    ring = Ring.create(name, 1 << 16)
    sender, receiver, got = ring.sender(), ring.receiver(), []

    def take():
        while (record := receiver.receive()) != b"end":
            got.append(record)
        sender.send(b"end")

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(500):
        sender.send(b"%d" % number)
    sender.send(b"end")
    for thread in threads:
        thread.join()
    assert sorted(map(int, got)) == list(range(500))


def camera(name, **options):
    return Frames.create(name, slot=100_000, **options)


def test_arrays_keep_shape_and_type(name, child):
    frames = camera(name)
    publisher = frames.publisher()
    other = child(
        """
        import sys, coview
        subscriber = coview.Frames.open(sys.argv[1]).subscriber()
        print("there", flush=True)
        for frame in subscriber:
            array = frame.array
            print(array.dtype.descr, array.shape, array.sum() if array.dtype.names is None else "-", flush=True)
        """,
        name,
    )
    other.hear()
    record = numpy.dtype([("id", "<u4"), ("place", "<f4", (2,))])
    arrays = [
        numpy.arange(30_000, dtype="u1").reshape(100, 100, 3),
        numpy.linspace(0, 1, 12).reshape(3, 4),
        numpy.array(5, dtype="i2"),
        numpy.zeros((0, 3), "f4"),
        numpy.arange(6).reshape(2, 3).T,
        numpy.zeros(4, record),
        numpy.arange(7, dtype=">i4"),
    ]
    for array in arrays:
        publisher.send(array)
        total = array.sum() if array.dtype.names is None else "-"
        assert other.hear() == f"{array.dtype.descr} {array.shape} {total}"
    for array in (numpy.array(["2026-01-01"], "M8[D]"), numpy.array(["text"])):
        publisher.send(array)
        other_end = frames.subscriber("newest").receive()
        assert (other_end.array == array).all() and other_end.array.dtype == array.dtype
        del other_end
    with pytest.raises(TypeError, match="objects"):
        publisher.send(numpy.array([None]))


def test_a_frame_is_in_place_and_read_only(name):
    frames = camera(name)
    publisher, subscriber = frames.publisher(), frames.subscriber()
    publisher.send(numpy.ones((100, 100), "f4"))
    frame = subscriber.receive(timeout=1)
    array = frame.array
    assert (frame.number, frame.lost, frame.array.ctypes.data) == (1, 0, array.ctypes.data)
    assert array.ctypes.data % 128 == 0 and memoryview(frame).readonly
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(BufferError):
        frame.release()
    part = array[10:20]
    assert subscriber.try_receive() is None
    del array, frame
    gc.collect()
    # The slot is not used again as long as a part of it is seen.
    for _ in range(100):
        publisher.send(numpy.zeros((100, 100), "f4"))
        subscriber.receive().release()
    assert (part == 1).all()


def test_frames_go_to_other_threads(name):
    frames = camera(name, budget=500_000)
    publisher, subscriber = frames.publisher(), frames.subscriber()
    held = []

    def drop():
        for _ in range(200):
            while not held:
                pass
            assert (held[0].array == held[0].number % 200).all()
            del held[0]

    thread = threading.Thread(target=drop)
    thread.start()
    for number in range(1, 201):
        publisher.send(numpy.full(90_000, number % 200, "u1"))
        held.append(subscriber.receive())
    thread.join()


def test_loans_are_filled_in_place(name):
    frames = camera(name)
    publisher, subscriber = frames.publisher(), frames.subscriber()
    with publisher.loan((50, 60), "f8") as loan:
        array = loan.array
        array[...] = 3.0
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 4.0
    with pytest.raises(ValueError, match="published already"):
        loan.publish()
    received = subscriber.receive().array
    assert received.shape == (50, 60) and (received == 3.0).all()
    loan = publisher.loan(1000)
    memoryview(loan)[:5] = b"hello"
    loan.publish(5)
    assert bytes(subscriber.receive()) == b"hello"
    small = publisher.loan((3,), "u2")
    small.array[:] = [1, 2, 3]
    small.publish()
    assert subscriber.receive().array.tolist() == [1, 2, 3]
    assert small.array.tolist() == [1, 2, 3]
    publisher.loan(10)  # forgotten
    with pytest.raises(RuntimeError), publisher.loan((2,), "u1"):
        raise RuntimeError
    assert subscriber.try_receive() is None
    with pytest.raises(IndexError, match="slot"):
        publisher.loan(1_000_000)
    with pytest.raises(ValueError):
        publisher.loan(10).publish(11)


def test_a_publisher_waits_for_every_frame(name):
    frames = camera(name, budget=400_000)
    publisher, subscriber = frames.publisher(), frames.subscriber()
    held, sent = [], 0
    while publisher.try_send(bytes(90_000)):
        sent += 1
        held.append(subscriber.try_receive())
        assert sent < 100
    with pytest.raises(TimeoutError):
        publisher.send(bytes(90_000), timeout=0.02)
    with pytest.raises(TimeoutError):
        publisher.loan(90_000, timeout=0.02)
    del held[0]
    publisher.send(bytes(90_000), timeout=30)


def test_who_is_slow_may_lose(name):
    frames = camera(name)
    publisher, oldest, newest = frames.publisher(), frames.subscriber("drop_oldest"), frames.subscriber("newest")
    for number in range(300):
        publisher.send(b"%d" % number)
    assert bytes(newest.receive()) == b"299" and newest.try_receive() is None
    frame = oldest.receive()
    assert frame.lost > 0 and frame.number == frame.lost + 1
    with pytest.raises(ValueError, match="policy"):
        frames.subscriber("all")


def test_a_killed_publisher_leaves_whole_frames(name, child):
    frames = camera(name)
    subscriber = frames.subscriber("drop_oldest")
    other = child(
        """
        import sys, numpy, coview
        publisher = coview.Frames.open(sys.argv[1]).publisher()
        number = 0
        while True:
            publisher.send(numpy.full(80_000, number % 251, "u1"))
            number += 1
        """,
        name,
    )
    for _ in range(50):
        array = subscriber.receive(timeout=30).array
        assert array.shape == (80_000,) and array.min() == array.max()
    other.kill()
    with pytest.raises(BrokenPipeError):
        while True:
            array = subscriber.receive(timeout=30).array
            assert array.min() == array.max()
    frames.publisher().send(b"goes on")
    assert bytes(subscriber.receive(timeout=30)) == b"goes on"


def test_a_killed_subscriber_gives_its_frames_back(name, child):
    frames = camera(name, budget=400_000)
    publisher = frames.publisher()
    other = child(
        """
        import sys, coview
        subscriber = coview.Frames.open(sys.argv[1]).subscriber()
        print("there", flush=True)
        held = [subscriber.receive() for _ in range(3)]
        print("holds three", flush=True)
        sys.stdin.readline()
        """,
        name,
    )
    other.hear()
    for _ in range(3):
        publisher.send(bytes(90_000), timeout=30)
    other.hear()
    assert publisher.subscribers() == [other.process.pid]
    other.kill()
    for _ in range(20):
        publisher.send(bytes(90_000), timeout=30)


def test_dlpack_is_numpys(name):
    frames = camera(name)
    publisher, subscriber = frames.publisher(), frames.subscriber()
    publisher.send(numpy.arange(10.0))
    frame = subscriber.receive()
    assert frame.__dlpack_device__() == (1, 0)
    array = numpy.from_dlpack(frame)
    assert array.ctypes.data == frame.array.ctypes.data and not array.flags.writeable

    class Tensor:
        """Somebody else's array, which has no buffer."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    publisher.send(Tensor(numpy.arange(5, dtype="i2")))
    assert subscriber.receive().array.tolist() == [0, 1, 2, 3, 4]


HOSTILE = [
    b"",
    b"cvND",
    b"cvND" + bytes(12),
    bytes(8) + b"cvND\x01\xff\xff\xff" + b"\xff" * 8,
    (2**63).to_bytes(8, "little") + b"'|O'".ljust(8, b"\0") + b"cvND\x01\x01\x04\x00" + bytes(8),
    bytes(8)
    + (1).to_bytes(8, "little")
    + b"'|O'".ljust(8, b"\0")
    + b"cvND\x01\x01\x04\x00"
    + (8).to_bytes(8, "little"),
    b"(" * 4096 + b"cvND\x01\x00\x00\x10" + bytes(8),
    (0).to_bytes(8, "little")
    + (2**64 - 1).to_bytes(8, "little")
    + b"'<f8'".ljust(8, b"\0")
    + b"cvND\x01\x02\x05\x00"
    + bytes(8),
]


@pytest.mark.parametrize("frame", HOSTILE)
def test_what_says_wrongly_that_it_is_an_array_is_bytes(name, frame):
    frames = camera(name)
    frames.publisher().send(frame)
    array = frames.subscriber().receive().array
    assert array.dtype == "u1" and array.tobytes() == frame
