"""Awaiting in asyncio: taken when it is there, cancelled without a loss."""

import asyncio
import gc

import pytest

import coview


def run(main):
    asyncio.run(asyncio.wait_for(main, 60))


def test_all_that_can_be_awaited(name, child):
    event, permits = coview.Event.create(name), coview.Semaphore.create(name + "-s", 0, 9)
    ring, frames = coview.Ring.create(name + "-r"), coview.Frames.create(name + "-f")
    latest = coview.Latest.create(name + "-l", "u4")
    receiver, subscriber, reader = ring.receiver(), frames.subscriber(), latest.reader()

    async def main():
        waiting = asyncio.gather(
            event.wait_async(),
            permits.acquire_async(),
            receiver.receive_async(),
            subscriber.receive_async(),
            reader.changed_async(),
        )
        await asyncio.sleep(0)
        other = child(
            """
            import sys, numpy, coview
            name = sys.argv[1]
            coview.Frames.open(name + "-f").publisher().send(numpy.ones((2, 2)))
            coview.Latest.open(name + "-l", "u4").writer().set(7)
            coview.Ring.open(name + "-r").sender().send(b"record")
            coview.Semaphore.open(name + "-s").release()
            coview.Event.open(name).set()
            """,
            name,
        )
        nothing, permit, record, frame, value = await waiting
        assert (nothing, permit, record, frame.array.sum(), value) == (None, None, b"record", 4.0, 7)
        await asyncio.to_thread(other.end)

    run(main())
    subscriber.close()


def test_what_is_cancelled_has_taken_nothing(name):
    event, ring, frames = coview.Event.create(name), coview.Ring.create(name + "-r"), coview.Frames.create(name + "-f")
    receiver, subscriber = ring.receiver(), frames.subscriber()

    async def main():
        for make in (event.wait_async, receiver.receive_async, subscriber.receive_async):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(make(), 0.02)
        event.set()
        ring.sender().send(b"kept")
        frames.publisher().send(b"kept")
        await event.wait_async()
        assert await receiver.receive_async() == b"kept"
        assert bytes(await subscriber.receive_async()) == b"kept"

    run(main())
    gc.collect()


def test_frames_stay_while_others_are_awaited(name):
    frames = coview.Frames.create(name, slot=50_000)
    publisher, subscriber = frames.publisher(), frames.subscriber()

    async def publish():
        for number in range(20):
            await asyncio.sleep(0.001)
            publisher.send(bytes([number]) * 50_000)

    async def main():
        task, held = asyncio.create_task(publish()), []
        for number in range(20):
            held.append(await subscriber.receive_async())
            held = held[-3:]
            assert [bytes(frame)[0] for frame in held] == list(range(max(0, number - 2), number + 1))
        await task

    run(main())


def test_an_end_is_awaited_by_one(name):
    receiver = coview.Ring.create(name).receiver()

    async def main():
        waiting = asyncio.ensure_future(receiver.receive_async())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="give each its own"):
            await receiver.receive_async()
        waiting.cancel()

    run(main())


def test_a_full_ring_is_awaited(name):
    ring = coview.Ring.create(name, 4096)
    sender, receiver = ring.sender(), ring.receiver()

    async def main():
        async def send():
            for number in range(200):
                await sender.send_async(bytes([number]) * 500)

        task = asyncio.create_task(send())
        for number in range(200):
            assert (await receiver.receive_async())[0] == number
        await task

    run(main())
