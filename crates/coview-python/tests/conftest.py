"""What the tests share: names of their own, real processes, and a look for what is left."""

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import time

import pytest

import coview

PREFIX = f"py-test-{os.getpid()}-"
PATIENCE = 60.0
_numbers = itertools.count()


def left():
    """The objects of these tests that somebody holds, or that the dead left."""
    coview.inspect.sweep()
    return [
        entry
        for entry in coview.inspect.objects()
        if PREFIX in entry["name"] or "psm_" in entry["name"] and mine(entry)
    ]


def mine(entry):
    return any(pid == os.getpid() for pid, _ in entry["holders"])


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    until = time.monotonic() + PATIENCE
    while entries := left():
        gc.collect()
        assert time.monotonic() < until, f"left behind: {entries}"
        time.sleep(0.01)


@pytest.fixture
def name():
    return f"{PREFIX}{next(_numbers)}"


class Child:
    """Another Python, which runs `code` with `args`, says lines and hears lines."""

    def __init__(self, code, *args):
        command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"the child ended with {self.process.wait(PATIENCE)}"
        return line.strip()

    def say(self, line=""):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self):
        """Lets it end by itself, with success."""
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0


@pytest.fixture
def child():
    children = []

    def start(code, *args):
        children.append(Child(code, *args))
        return children[-1]

    yield start
    for each in children:
        if each.process.poll() is None:
            each.kill()
        each.process.stdin.close()
        each.process.stdout.close()
