"""Fingerprints of what computes: digests of source code without comments and docstrings."""

import ast
import functools
import hashlib
import inspect
import textwrap
import threading
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from qm7cli.model.variants import RULES
from qm7cli.runs.experiment import Experiment

ENGINE: Final = (  # what trains lies on the floor above, and is read, not imported
    *("core/seeds", "data/coulomb", "model/activations", "model/encoder", "model/network", "model/reduced"),
    *("model/target", "training/fold_training"),
)
_parsing = threading.Lock()  # in Python 3.11 two threads may not, such as those of a Dask worker


def fingerprints(experiment: Experiment) -> dict[str, str | None]:
    """Return those of an experiment's `rule`, with the numbers of its module, and of the `engine` that all rules share.

    A baseline and an imported run have none. That of a rule is None where there is no source, as with ``exec``.
    """
    if experiment.baseline.model or experiment.imported:
        return {}
    with _parsing:
        return {"rule": _of_rule(RULES[experiment.variant]), "engine": _of_engine()}


@functools.cache
def _of_rule(rule: Any) -> str | None:
    with suppress(OSError, TypeError):
        source, used = textwrap.dedent(inspect.getsource(rule)), inspect.getclosurevars(rule)
        numbers = [each for each in {**used.globals, **used.nonlocals}.items() if isinstance(each[1], int | float)]
        return _digest(f"{source}\n{sorted(numbers)}")
    return None


@functools.cache
def _of_engine() -> str:
    return _digest("".join(files("qm7cli").joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ENGINE))


class _Bare(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


def _digest(source: str) -> str:
    with suppress(SyntaxError):  # a lambda may stand in the middle of a statement
        source = ast.unparse(_Bare().visit(ast.parse(source)))
    return hashlib.sha256(source.encode()).hexdigest()[:12]
