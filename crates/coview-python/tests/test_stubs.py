"""The stubs say what is there: each class, each method, each argument."""

import ast
import inspect
import pathlib

from coview import _coview

STUBS = ast.parse(pathlib.Path(_coview.__file__).with_name("_coview.pyi").read_text())
# Of every class, and of Python itself.
USUAL = {"__buffer__", "__release_buffer__", *dir(object), "__module__", "__reduce__"}


def arguments(function):
    arguments = function.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs if a.arg != "self"]
    return names + [a.arg for a in (arguments.vararg, arguments.kwarg) if a]


def test_the_stubs_and_the_module_agree():
    classes = {node.name: node for node in STUBS.body if isinstance(node, ast.ClassDef) and node.name != "Entry"}
    functions = {node.name for node in STUBS.body if isinstance(node, ast.FunctionDef)}
    public = {name for name in dir(_coview) if not name.startswith("__")}
    assert public == set(classes) | functions
    for name, node in classes.items():
        real, said = getattr(_coview, name), {}
        for member in node.body:
            if isinstance(member, ast.FunctionDef):
                said[member.name] = arguments(member)
            elif isinstance(member, ast.AnnAssign):
                said[member.target.id] = None
        mine = {member for member in vars(real) if member not in USUAL}
        assert mine == set(said) - USUAL, name
        for member, names in said.items():
            if member in mine and callable(getattr(real, member)) and not member.startswith("__"):
                signature = inspect.signature(getattr(real, member))
                assert [p for p in signature.parameters if p != "self"] == names, f"{name}.{member}"
                assert getattr(real, member).__doc__ or name in ("Region", "Latest", "Writer", "Reader"), (
                    f"{name}.{member}"
                )
