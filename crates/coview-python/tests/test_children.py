"""Handles in child processes: fork, spawn, forkserver, pickling."""

import multiprocessing
import pickle

import numpy
import pytest

import coview

METHODS = ["spawn", "fork", "forkserver"]


def work(mapping, view, unnamed, mutex, event, permits, region, latest, ring, frames):
    array = view.array("u4")
    for _ in range(1000):
        with mutex:
            array[0] += 1
    assert mapping.view(64, 1).read() == b"m"
    unnamed.view().write(0, b"unnamed")
    region.write(region.read() * 2)
    latest.writer().set([1.0, 2.0])
    with permits:
        ring.sender().send(b"from the child")
    frames.publisher().send(numpy.arange(6).reshape(2, 3))
    event.wait(timeout=30)


@pytest.mark.parametrize("method", METHODS)
def test_handles_go_to_children(name, method):
    context = multiprocessing.get_context(method)
    mapping, unnamed = coview.Mapping.create(name, 4096), coview.Mapping.create(None, 4096)
    mapping.view().write(64, b"m")
    view = mapping.view(8, 400)
    mutex, event = coview.Mutex.create(name + "-m"), coview.Event.create(name + "-e", manual_reset=True)
    permits, region = coview.Semaphore.create(name + "-s", 1), coview.Region.create(name + "-r", "f8", 21.0)
    latest, ring = coview.Latest.create(name + "-l", ("f8", 2)), coview.Ring.create(name + "-q")
    frames = coview.Frames.create(name + "-f")
    subscriber = frames.subscriber()
    handles = (mapping, view, unnamed, mutex, event, permits, region, latest, ring, frames)
    children = [context.Process(target=work, args=handles) for _ in range(1)]
    for each in children:
        each.start()
    for _ in range(1000):
        with mutex:
            view.array("u4")[0] += 1
    assert ring.receiver().receive(timeout=30) == b"from the child"
    assert subscriber.receive(timeout=30).array.tolist() == [[0, 1, 2], [3, 4, 5]]
    event.set()
    for each in children:
        each.join(30)
        assert each.exitcode == 0
    assert view.array("u4")[0] == 2000
    assert unnamed.view().read(0, 7) == b"unnamed"
    assert region.read() == 42.0 and latest.reader().read().tolist() == [1.0, 2.0]


def total(frames_and_array):
    view, index = frames_and_array
    return float(view.array("f8")[index::4].sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_shares_an_array(name, method):
    view = coview.Mapping.create(name, 8 * 4000).view()
    view.array("f8", (4000,))[:] = numpy.arange(4000)
    with multiprocessing.get_context(method).Pool(2) as pool:
        totals = pool.map(total, [(view, index) for index in range(4)])
    assert sum(totals) == sum(range(4000))


def test_what_has_no_name_is_not_pickled(name):
    for thing in (coview.Mutex.create(), coview.Event.create(), coview.Semaphore.create(None, 1)):
        with pytest.raises(TypeError, match="give it a name"):
            pickle.dumps(thing)
    with pytest.raises(TypeError):
        pickle.dumps(coview.Ring.create(name).sender())


def test_the_object_may_be_gone(name):
    data = pickle.dumps(coview.Mapping.create(name, 4096))
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)
