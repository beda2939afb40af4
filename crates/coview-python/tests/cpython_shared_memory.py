"""CPython's own tests of shared_memory, from the installed `test` package, against ours: METHOD is fork, spawn or forkserver.

Not collected by pytest: test_shared_memory.py runs it as a program, which children of spawn import again.
"""

import multiprocessing
import sys

import coview.shared_memory

# Before anything takes the standard library's.
sys.modules["multiprocessing.shared_memory"] = multiprocessing.shared_memory = coview.shared_memory

import test._test_multiprocessing
from test.support import import_helper  # noqa: F401

METHOD = sys.argv.pop(1) if __name__ == "__main__" else multiprocessing.get_start_method()

test._test_multiprocessing.install_tests_in_module_dict(globals(), METHOD)

# They start programs with the standard library's module, to see its resource tracker complain or not: nothing about ours.
for name in (
    "test_shared_memory_cleaned_after_process_termination",
    "test_shared_memory_tracking",
    "test_shared_memory_untracking",
):
    setattr(globals()["WithProcessesTestSharedMemory"], name, None)

if __name__ == "__main__":
    import unittest

    unittest.main()
