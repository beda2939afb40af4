"""Rust, C and Python read and write each other's regions, rings and frames."""

import os
import pathlib
import shutil
import subprocess

import numpy
import pytest

import coview

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
STUDENT = coview.record("Student", [("id", "i4"), ("name", "S20")])


@pytest.fixture(scope="session")
def peers(tmp_path_factory):
    """The programs of the other languages."""
    if not (shutil.which("cargo") and shutil.which("gcc") and (ROOT / "Cargo.toml").exists()):
        pytest.skip("needs cargo, gcc and the sources")
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    what = ["-p", "coview-capi", "-p", "coview-python", "--lib", "--example", "peer"]
    subprocess.run(["cargo", "build", "--quiet", "--locked", *what], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("c")
    for name in ("libcoview.so", "libcoview.so.0"):
        (folder / name).symlink_to(built / "libcoview_capi.so")
    include = ROOT / "crates" / "coview-capi" / "include"
    source, program = HERE / "peer.c", folder / "peer"
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{include}", "-o", program, source]
    subprocess.run([*command, f"-L{folder}", "-lcoview", f"-Wl,-rpath,{folder}"], check=True)
    return {"Rust": built / "examples" / "peer", "C": program}


@pytest.mark.parametrize("order", [["Rust", "C"], ["C", "Rust"]], ids="-".join)
def test_each_takes_what_the_one_before_made(name, peers, order):
    region = coview.Region.create(f"{name}-region-0", STUDENT, (7, b"Ada"))
    ring, frames = coview.Ring.create(f"{name}-ring-0"), coview.Frames.create(f"{name}-frames-0")
    ring.sender().send(b"Python")
    frames.publisher().send(numpy.arange(100, dtype="u1").reshape(4, 25))
    running = []
    try:
        for stage, language in enumerate(order):
            command = [peers[language], name, str(stage)]
            program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            running.append(program)
            assert program.stdout.readline() == "done\n", f"{language}: {program.wait(30)}"
        # What the first changed in ours, and what the last made of it.
        assert region.read().tolist() == (-7, b"Ada")
        last = len(order)
        assert coview.Region.open(f"{name}-region-{last}", STUDENT, access="r").read().tolist() == (28, b"Ada")
        record = coview.Ring.open(f"{name}-ring-{last}").receiver().receive(timeout=30)
        assert record.decode() == ", ".join(["Python", *order])
        array = coview.Frames.open(f"{name}-frames-{last}").subscriber().receive(timeout=30).array
        assert (array == numpy.arange(last, 100 + last, dtype="u1").reshape(4, 25)).all()
        with pytest.raises(TypeError, match="field 1"):
            coview.Region.open(f"{name}-region-{last}", coview.record("Student", [("id", "u4"), ("name", "S20")]))
    finally:
        for program in running:
            program.communicate()
    assert [program.returncode for program in running] == [0, 0]
