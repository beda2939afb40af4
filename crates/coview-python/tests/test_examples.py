"""Each example runs and says what it should, and so does what stands in the page."""

import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
PAGE = pathlib.Path(__file__).parents[3] / "docs" / "python.md"
SAYS = {
    "camera.py": [r"brightness: 60 frames, 29\.5 on average", "preview: the last was frame 60"],
    "pool.py": ["100000 rows, filled by [12] processes; the squares are 333328333350000 together"],
    "telemetry.py": ["Nordschleife: 221 km/h at 8200 rpm"],
}


def test_none_is_forgotten():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("example", SAYS)
def test_an_example_runs(example):
    command = [sys.executable, str(EXAMPLES / example)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for says in SAYS[example]:
        assert re.search(says, done.stdout), done.stdout


@pytest.mark.skipif(not PAGE.exists(), reason="without the sources")
def test_the_page_tells_the_truth(tmp_path):
    """Its pieces of Python run, in one program from top to bottom."""
    pieces = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(pieces) >= 5
    program = tmp_path / "page.py"
    program.write_text("\n".join(pieces))
    done = subprocess.run([sys.executable, str(program)], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
