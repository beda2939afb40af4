"""Mutexes, events, semaphores: between processes, with kills, timeouts and Ctrl-C."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import coview
from coview import Event, Mutex, Semaphore

HOLD = """
    import sys, coview
    mutex = coview.Mutex.open(sys.argv[1])
    mutex.lock()
    print("have it", flush=True)
    sys.stdin.readline()
    mutex.unlock()
    print("gave it back", flush=True)
    sys.stdin.readline()
"""


def test_a_mutex_is_had_by_one(name, child):
    mutex = Mutex.create(name)
    other = child(HOLD, name)
    other.hear()
    assert mutex.try_lock() is None
    with pytest.raises(TimeoutError, match=f"cannot lock .*{name}"):
        mutex.lock(timeout=0.05)
    other.say()
    with mutex.lock(timeout=30) as lock:
        assert not lock.abandoned and not isinstance(lock, coview.Abandoned)
        with mutex:  # as often as its thread likes
            pass
        assert mutex.try_lock() is not None
        mutex.unlock()
    with pytest.raises(ValueError, match="does not have it"):
        mutex.unlock()
    assert repr(mutex) == f"<coview.Mutex Local\\{name}>"


def test_the_next_is_told_that_its_owner_died(name, child):
    mutex = Mutex.create(name)
    other = child(HOLD, name)
    other.hear()
    other.kill()
    with mutex as lock:
        assert lock.abandoned and isinstance(lock, coview.Abandoned)
    with mutex as lock:
        assert not lock.abandoned


def test_a_forgotten_lock_is_still_had(name):
    mutex = Mutex.create(name)
    mutex.lock()
    got = []
    thread = threading.Thread(target=lambda: got.append(mutex.try_lock()))
    thread.start()
    thread.join()
    assert got == [None]
    mutex.unlock()


def test_waiting_threads_let_others_run(name):
    event, done = Event.create(name), Event.create(name + "-done")
    thread = threading.Thread(target=lambda: (event.wait(), done.set()))
    thread.start()
    event.set()  # it would never come here with the GIL held by the wait
    done.wait(timeout=30)
    thread.join()


def test_events(name, child):
    automatic = Event.create(name)
    assert not automatic.try_wait()
    other = child("import sys, coview; coview.Event.open(sys.argv[1]).set()", name)
    automatic.wait(timeout=30)
    with pytest.raises(TimeoutError):
        automatic.wait(timeout=0.01)
    other.end()
    manual, created = Event.open_or_create(name + "-m", manual_reset=True, initially_set=True)
    assert created and manual.try_wait() and manual.try_wait()
    manual.reset()
    assert not manual.try_wait()
    with pytest.raises(ValueError, match="timeout"):
        manual.wait(-1)
    with pytest.raises(ValueError):
        manual.wait(float("nan"))


def test_semaphores(name, child):
    permits = Semaphore.create(name, 1, 2)
    with permits:
        assert not permits.try_acquire()
        with pytest.raises(TimeoutError):
            permits.acquire(timeout=0.01)
    assert permits.release() == 1
    with pytest.raises(ValueError, match="maximum"):
        permits.release()
    other = child(
        "import sys, coview; s = coview.Semaphore.open(sys.argv[1]); s.acquire(); s.acquire(); print('both', flush=True)",
        name,
    )
    other.hear()
    assert not permits.try_acquire()
    other.end()
    with pytest.raises(ValueError):
        Semaphore.create(name + "x", 3, 2)


def test_objects_without_a_name_serve_threads():
    mutex, event, permits = Mutex.create(), Event.create(), Semaphore.create(None, 1)
    with mutex, permits:
        event.set()
    event.wait()
    assert mutex.name is None


WAITS = {
    "mutex": "coview.Mutex.open(name).lock()",
    "event": "coview.Event.create(name + '-e').wait()",
    "semaphore": "coview.Semaphore.create(name + '-s', 0, 1).acquire()",
    "ring": "coview.Ring.create(name + '-r').receiver().receive()",
    "full ring": "[s.send(bytes(1000)) for s in [coview.Ring.create(name + '-r', 4096).sender()] for _ in range(9)]",
    "frames": "coview.Frames.create(name + '-f').subscriber().receive()",
    "latest": "coview.Latest.create(name + '-l').reader().changed()",
    "region": "coview.Region.open(name + '-x', 'f8', timeout=100)",
}


@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_ends_a_wait(name, child, what):
    mutex = Mutex.create(name)
    with mutex:
        other = child(
            f"""
            import sys, coview
            name = sys.argv[1]
            print("ready", flush=True)
            try:
                {WAITS[what]}
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            """,
            name,
        )
        other.hear()
        while_waiting(other.process.pid)
        os.kill(other.process.pid, signal.SIGINT)
        assert other.hear() == "interrupted"
        other.end()


def while_waiting(pid):
    """Until the process sleeps, which it does in its wait."""
    until = time.monotonic() + 30
    while pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "S":
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_handler_of_a_signal_may_return(name):
    """The wait goes on after it."""
    code = f"""
import signal, coview
event = coview.Event.create({name!r})
signal.signal(signal.SIGALRM, lambda *_: event.set())
signal.setitimer(signal.ITIMER_REAL, 0.1)
event.wait()
print("set by the handler")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set by the handler", done.stderr
