"""A camera's frames to two consumers, each in a process of its own, without a copy: `python camera.py [FRAMES]`."""

import multiprocessing
import os
import sys

import numpy

import coview

SHAPE = (480, 640, 3)


def brightness(frames: coview.Frames, ready, count: int) -> None:
    """Gets every frame: the camera waits for it when it is slow."""
    with frames.subscriber("every") as subscriber:
        ready.set()
        total = sum(float(subscriber.receive().array.mean()) for _ in range(count))
    print(f"brightness: {count} frames, {total / count:.1f} on average")


def preview(frames: coview.Frames, ready, count: int) -> None:
    """Gets the newest: what it has no time for is lost."""
    seen = number = 0
    with frames.subscriber("newest") as subscriber:
        ready.set()
        while number < count:
            frame = subscriber.receive()
            number, seen = frame.number, seen + 1
    print(f"preview: the last was frame {number}", "of some that were shown" if seen < count else "of all")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    context = multiprocessing.get_context("spawn")
    frames = coview.Frames.create(f"Camera {os.getpid()}", slot=int(numpy.prod(SHAPE)), history=0)
    consumers = []
    for work in (brightness, preview):
        ready = context.Event()
        consumers.append(context.Process(target=work, args=(frames, ready, count)))
        consumers[-1].start()
        ready.wait()
    publisher = frames.publisher()
    for number in range(count):
        with publisher.loan(SHAPE, "uint8") as loan:
            loan.array[...] = number % 256  # in shared memory, where both will read it
    for consumer in consumers:
        consumer.join()


if __name__ == "__main__":
    main()
