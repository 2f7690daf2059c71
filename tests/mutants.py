"""`make mutants`: change the core in one place at a time; the tests of the core, or the simulation, must notice.

    python -m tests.mutants [--only decide.py] [--processes 2]

Prints those that nothing noticed, and the score. Fails for one that tests/core/survivors.toml gives no reason for.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import resource
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "sandboxes" / "core"
SURVIVORS = ROOT / "tests" / "core" / "survivors.toml"
# All that decides or counts. The rest of the core is words: codes, vocabulary, causes and resources.
FILES = (
    "actions.py", "asked.py", "backoff.py", "calls.py", "decide.py", "deliveries.py", "derived.py", "draft.py",
    "facts.py", "gate.py", "intents.py", "intervals.py", "labels.py", "next_step.py", "observation.py",
    "observed_causes.py", "parameters.py", "pending.py", "plan.py", "policies.py", "quota.py", "ranking.py",
    "results.py", "shown.py", "signature.py", "states.py", "usage.py", "without_operation.py",
)  # fmt: skip
SEEDS = range(12)  # of the simulation, for what the tests did not notice
CPU_SECONDS = 20  # a mutant that runs for longer is noticed
SURVIVED = 77

_SWAPS: dict[type[Any], type[Any]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """`line` is the source line as it is; `change` what becomes of the expression."""

    file: str
    number: int
    line: str
    change: str
    source: str


def mutants(file: str) -> Iterator[Mutant]:
    text = (CORE / file).read_text()
    lines, tree = text.splitlines(), ast.parse(text)
    sites = [node for node in _code(tree) for _ in _changes(node)]
    seen: dict[int, int] = {}
    for node in sites:
        turn = seen[id(node)] = seen.get(id(node), -1) + 1
        memo: dict[int, Any] = {}
        changed = copy.deepcopy(tree, memo)
        twin = memo[id(node)]
        new = list(_changes(twin))[turn]
        before = ast.unparse(node)
        _Replace(twin, new).visit(changed)
        change = f"{before} -> {ast.unparse(new)}"
        source = ast.unparse(ast.fix_missing_locations(changed))
        yield Mutant(file, node.lineno, lines[node.lineno - 1].strip(), " ".join(change.split()), source)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else super().visit(node)


def _code(node: ast.AST) -> Iterator[Any]:
    """What runs: no annotation, decorator, docstring or import."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.AST) and not is_text and not isinstance(child, ast.Assert | ast.JoinedStr):
                yield child
                yield from _code(child)


def _changes(node: Any) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, [op], rest) if type(op) in _SWAPS:
            yield ast.Compare(left, [_SWAPS[type(op)]()], rest)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_SWAPS[type(op)](), values)
        case ast.BinOp(left, op, right) if type(op) in _SWAPS:
            yield ast.BinOp(left, _SWAPS[type(op)](), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Call(ast.Name(name), arguments, keywords) if name in _NAMES:
            yield ast.Call(ast.Name(_NAMES[name], ast.Load()), arguments, keywords)
        case ast.If(test, body, orelse) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()):
            yield ast.Pass()


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module of the core from other source."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = f"sandboxes.core.{mutant.file.removesuffix('.py')}"
        self.source = mutant.source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, self.name, "exec"), module.__dict__)


def try_out(mutant: Mutant | None) -> int:
    """In a child of its own: SURVIVED, or anything else where the change was noticed."""
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    if mutant is not None:
        sys.meta_path.insert(0, _Loader(mutant))
    alone = ["--noconftest", "-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider", "-q", "-x"]
    tests = ROOT / "tests" / "core"
    own = tests / f"test_{mutant.file}" if mutant is not None else tests
    for chosen in (own, tests):  # most changes are noticed by the module's own tests, in a fifth of the time
        if chosen.exists() and pytest.main([*alone, str(chosen)]) != 0:
            return 1
    from tests.simulation.run import Run

    for seed in SEEDS:
        Run(seed).to_the_end()  # raises where a promise is broken
    return SURVIVED


def survivors(found: list[Mutant], *, processes: int) -> list[Mutant]:
    """Those that nothing noticed."""
    running: dict[int, Mutant] = {}
    left, survived = list(reversed(found)), []
    while left or running:
        while left and len(running) < processes:
            mutant = left.pop()
            running[_fork(mutant)] = mutant
        child, status = os.wait()
        mutant = running.pop(child)
        if os.waitstatus_to_exitcode(status) == SURVIVED:
            survived.append(mutant)
            print(f"{mutant.file}:{mutant.number}: {mutant.change}", flush=True)
    return survived


def _fork(mutant: Mutant | None) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = try_out(mutant)
        finally:
            os._exit(code)
    return child


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", action="append", choices=FILES, help="one file of the core; may be repeated")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    os.nice(15)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = False  # the first run compiles what all others read
    import pytest  # noqa: F401 - once, for all children

    if os.waitstatus_to_exitcode(os.waitpid(_fork(None), 0)[1]) != SURVIVED:
        print("The tests fail without any change.")
        return 2
    found = [mutant for file in given.only or FILES for mutant in mutants(file)]
    known = {
        (one["file"], one["line"], one["change"])
        for one in tomllib.loads(SURVIVORS.read_text()).get("survivor", [])
    }
    survived = survivors(found, processes=given.processes)
    unknown = [one for one in survived if (one.file, one.line, one.change) not in known]
    killed = len(found) - len(survived)
    print(f"{killed} of {len(found)} mutants noticed ({100 * killed / len(found):.1f} %)")
    print(f"{len(unknown)} of the others without a reason")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
