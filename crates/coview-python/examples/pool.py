"""A NumPy table that a pool of processes fills, in place: `python pool.py [ROWS]`."""

import multiprocessing
import os
import sys

import numpy

import coview

TABLE = numpy.dtype([("x", "f8"), ("square", "f8"), ("process", "u4")])


def fill(task: tuple[coview.View, int, int]) -> float:
    """Works on some rows of the one table that all see."""
    view, begin, end = task
    rows = view.array(TABLE)[begin:end]
    rows["square"] = rows["x"] ** 2
    rows["process"] = os.getpid()
    return float(rows["square"].sum())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    # No name: it is passed to the processes of the pool, and nobody else finds it.
    view = coview.Mapping.create(None, count * TABLE.itemsize, exact=True).view()
    table = view.array(TABLE)
    table["x"] = numpy.arange(count)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        step = -(-count // 8)
        total = sum(pool.map(fill, [(view, begin, min(begin + step, count)) for begin in range(0, count, step)]))
    assert (table["square"] == table["x"] ** 2).all()
    print(f"{count} rows, filled by {len(set(table['process']))} processes; the squares are {total:.0f} together")


if __name__ == "__main__":
    main()
