"""A 3 MiB frame between two Python processes, beside what else there is: round trips and rate.

    python bench/frames.py [--rounds 15]

Each side fills a whole frame, in place where its way of passing it allows that, and hands it over; the other looks at both ends of it. In
a round trip both do so. All wait asleep; of those with `_polling` the receiver looks again and again. The subjects take turns within each
round, another one first each time; the first frames of a turn are not counted, since the caches are full of the last one's. Figures are
medians of the rounds; `bar NAME VALUE >= BOUND ok` is the median of the rounds' quotients of a peer's time and ours. Without iceoryx2
(`pip install iceoryx2`) its lines are left out.
"""

import argparse
import ctypes
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing import shared_memory

import numpy

import coview

SIZE = 3 << 20
SHAPE = (1024, 1024, 3)
# Of a turn; and how many before them are not counted.
TRIPS, FLOOD, WARM = 50, 100, 10


class Coview:
    """Frames, filled in a loan."""

    def __init__(self, context, name):
        self.frames = coview.Frames.create(
            f"bench-{os.getpid()}-{name}", slot=SIZE, budget=8 * (SIZE + 4096), history=0
        )

    def sender(self):
        publisher = self.frames.publisher()

        def send(number):
            loan = publisher.loan(SHAPE, "uint8")
            loan.array.fill(number)
            loan.publish()

        return send

    def take(self, subscriber):
        return subscriber.receive()

    def receiver(self):
        subscriber = self.frames.subscriber()

        def receive():
            array = self.take(subscriber).array
            return array[0, 0, 0], array[-1, -1, -1]

        return receive


class CoviewPolling(Coview):
    """As above, looking again and again."""

    def take(self, subscriber):
        while (frame := subscriber.try_receive()) is None:
            pass
        return frame


class Queue:
    """multiprocessing.Queue."""

    def __init__(self, context, name):
        self.queue = context.Queue(maxsize=8)

    def sender(self):
        array = numpy.empty(SHAPE, "uint8")

        def send(number):
            array.fill(number)
            self.queue.put(array.copy())  # a thread pickles it later

        return send

    def receiver(self):
        def receive():
            array = self.queue.get()
            return array[0, 0, 0], array[-1, -1, -1]

        return receive


class Pipe:
    """multiprocessing.Pipe, bytes into a buffer that is there."""

    def __init__(self, context, name):
        self.reading, self.writing = context.Pipe(duplex=False)

    def sender(self):
        array = numpy.empty(SIZE, "uint8")

        def send(number):
            array.fill(number)
            self.writing.send_bytes(array)

        return send

    def receiver(self):
        array = numpy.empty(SIZE, "uint8")

        def receive():
            self.reading.recv_bytes_into(array)
            return array[0], array[-1]

        return receive


class SharedMemory:
    """multiprocessing.shared_memory, filled in place, with two multiprocessing.Events."""

    def __init__(self, context, name):
        self.block = shared_memory.SharedMemory(create=True, size=SIZE)
        self.full, self.free = context.Event(), context.Event()
        self.free.set()
        self.maker = os.getpid()

    def array(self):
        return numpy.ndarray(SHAPE, "uint8", buffer=self.block.buf)

    def sender(self):
        array = self.array()

        def send(number):
            self.free.wait()
            self.free.clear()
            array.fill(number)
            self.full.set()

        return send

    def receiver(self):
        array = self.array()

        def receive():
            self.full.wait()
            self.full.clear()
            ends = array[0, 0, 0], array[-1, -1, -1]
            self.free.set()
            return ends

        return receive

    def end(self):
        self.block.unlink()


class Iceoryx:
    """iceoryx2, filled in a loan; its listener wakes the receiver."""

    polling = False

    def __init__(self, context, name):
        self.name = f"bench/{os.getpid()}/{name}"

    def node(self):
        import iceoryx2 as iox2

        iox2.set_log_level(iox2.LogLevel.Error)
        node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        builder = node.service_builder(iox2.ServiceName.new(self.name))
        frames = (
            builder.publish_subscribe(iox2.Slice[ctypes.c_uint8])
            .subscriber_max_buffer_size(8)
            .enable_safe_overflow(False)
        )
        return (
            node,
            frames.open_or_create(),
            node.service_builder(iox2.ServiceName.new(self.name)).event().open_or_create(),
        )

    def sender(self):
        node, frames, event = self.node()
        publisher = frames.publisher_builder().initial_max_slice_len(SIZE).create()
        notifier = event.notifier_builder().create()

        def send(number, _keep=node):
            sample = publisher.loan_slice_uninit(SIZE)
            room = (ctypes.c_uint8 * SIZE).from_address(sample.payload().data_ptr)
            numpy.frombuffer(room, "uint8").fill(number)
            sample.assume_init().send()
            if not self.polling:
                notifier.notify()

        return send

    def receiver(self):
        node, frames, event = self.node()
        subscriber = frames.subscriber_builder().buffer_size(8).create()
        listener = event.listener_builder().create()

        def receive(_keep=node):
            while (sample := subscriber.receive()) is None:
                if not self.polling:
                    listener.blocking_wait()
            data = sample.payload()
            ends = data[0], data[SIZE - 1]
            sample.delete()
            return ends

        return receive


class IceoryxPolling(Iceoryx):
    """As above, looking again and again."""

    polling = True


def subjects():
    yield from (("coview", Coview), ("queue", Queue), ("pipe", Pipe), ("shared_memory", SharedMemory))
    try:
        import iceoryx2  # noqa: F401
    except ImportError:
        return
    yield from (("iceoryx2", Iceoryx), ("coview_polling", CoviewPolling), ("iceoryx2_polling", IceoryxPolling))


def pin(which):
    """This process to one processor, where there are two: where the system puts who is woken would be measured instead."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, {processors[which]})


def serve(there, back, control, processors):
    """The other process: answers round trips, takes floods."""
    os.sched_setaffinity(0, processors)
    pin(1)
    receive, send = there.receiver(), back.sender()
    control.send("ready")
    while (task := control.recv()) is not None:
        kind, count = task
        for number in range(count):
            ends = receive()
            assert ends == (number % 251, number % 251), ends
            if kind == "trips":
                send(number % 251)
        control.send("done")


class Pair:
    """A subject and its two processes."""

    def __init__(self, context, name, kind, processors):
        self.there, self.back = kind(context, f"{name}-there"), kind(context, f"{name}-back")
        self.control, other = context.Pipe()
        args = (self.there, self.back, other, processors)
        self.process = context.Process(target=serve, args=args, daemon=True)
        self.receive = self.back.receiver()
        self.process.start()
        assert self.control.recv() == "ready"
        self.send = self.there.sender()
        self.trips, self.frames = [], []

    def trip(self, count):
        self.control.send(("trips", WARM + count))
        for number in range(WARM + count):
            if number == WARM:
                begin = time.perf_counter()
            self.send(number % 251)
            assert self.receive() == (number % 251, number % 251)
        self.trips.append((time.perf_counter() - begin) / count)
        assert self.control.recv() == "done"

    def flood(self, count):
        self.control.send(("flood", WARM + count))
        for number in range(WARM + count):
            if number == WARM:
                begin = time.perf_counter()
            self.send(number % 251)
        assert self.control.recv() == "done"
        self.frames.append((time.perf_counter() - begin) / count)

    def end(self):
        self.control.send(None)
        self.process.join()
        for side in (self.there, self.back):
            getattr(side, "end", lambda: None)()


def fill_alone(count=100):
    """Seconds that filling the same frame again takes: what a round trip needs twice."""
    array = numpy.ones(SHAPE, "uint8")
    begin = time.perf_counter()
    for number in range(count):
        array.fill(number)
    return (time.perf_counter() - begin) / count


def report(pairs):
    """The figures, and the bars; whether all hold."""
    held = True
    print(f"a frame filled twice, and no more: {2 * fill_alone() * 1e6:.0f} us")
    for name, pair in pairs.items():
        trip, frame = statistics.median(pair.trips), statistics.median(pair.frames)
        print(
            f"{name:18} round trip {trip * 1e6:9.0f} us   rate {1 / frame:8.0f} frames/s   {SIZE / frame / 2**30:6.2f} GiB/s"
        )
    for name, pair in pairs.items():
        if name.startswith("coview"):
            continue
        ours = pairs["coview_polling" if name.endswith("_polling") else "coview"]
        for what in ("trips", "frames"):
            rounds = zip(getattr(pair, what), getattr(ours, what), strict=True)
            quotient = statistics.median(theirs / mine for theirs, mine in rounds)
            bound = 20.0 if name == "queue" else 1.0
            held &= quotient >= bound
            word = "ok" if quotient >= bound else "FAILED"
            print(f"bar python_{what}_{name} {quotient:.2f} >= {bound:.0f} {word}")
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    context = multiprocessing.get_context("spawn")
    processors = os.sched_getaffinity(0)
    pin(0)
    pairs = {name: Pair(context, name, kind, processors) for name, kind in subjects()}
    order = list(pairs.values())
    for turn in range(rounds + 1):
        for pair in order[turn % len(order) :] + order[: turn % len(order)]:
            pair.trip(TRIPS)
            pair.flood(FLOOD)
            if turn == 0:  # everything is touched for the first time
                pair.trips.clear()
                pair.frames.clear()
    for pair in pairs.values():
        pair.end()
    return 0 if report(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
