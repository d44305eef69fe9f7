"""Reason codes, roles and verdicts as the source code has them, found in its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

PACKAGE = Path(__file__).resolve().parents[2] / "onnxspec"

# calls that take a code: position of the argument, or None for any of them
CALLS: dict[str, int | None] = {
    "CrossCheck": 6,
    "Diagnostic": 0,
    "Evidence": 0,
    "HillMedian": 4,
    "Part": 3,
    "Skip": 6,
    "TensorError": 0,
    "_diagnostic": 0,
    "_no_fit": None,
    "_note": 0,
    "_nothing": 0,
    "_undecodable": 1,
    "_without": 1,
    "nothing": 1,
    "null": 0,
    "put": 2,
    "set_aside": 1,
    "without_numbers": 2,
}
RETURNS = {"_purpose", "_refusal", "_reason"}
KEYWORDS = {"reason", "code", "interval_reason", "loo_reason"}


def constants(node: ast.AST | None) -> list[str]:
    """Give the strings that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return constants(node.body) + constants(node.orelse)
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in constants(value)]
    return []


def trees() -> Iterator[ast.AST]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "catalogue" not in path.relative_to(PACKAGE).parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def reason_codes() -> set[str]:
    """Give every code that stands where a reason or the code of a diagnostic stands."""
    return {code for tree in trees() for node in ast.walk(tree) for code in _codes(node)}


def _codes(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call):
        return _of_call(node)
    if isinstance(node, ast.Assign):
        return [code for target in node.targets for code in _of_assignment(target, node.value)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "reason":
        return constants(node.value)
    if isinstance(node, ast.FunctionDef) and node.name in RETURNS:
        return [code for part in ast.walk(node) if isinstance(part, ast.Return) for code in constants(part.value)]
    return []


def _of_call(node: ast.Call) -> list[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    found = [code for keyword in node.keywords if keyword.arg in KEYWORDS for code in constants(keyword.value)]
    if name == "append" and "dropped" in ast.unparse(node.func):
        found += [code for row in node.args if isinstance(row, ast.Tuple) for code in constants(row.elts[1])]
    if name in CALLS:
        place = CALLS[name]
        for position, argument in enumerate(node.args):
            if place in (None, position):
                found += constants(argument)
    return found


def _of_assignment(target: ast.expr, value: ast.expr) -> list[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [code for one, part in zip(target.elts, value.elts) for code in _of_assignment(one, part)]
    return constants(value) if isinstance(target, ast.Name) and target.id == "reason" else []


def roles() -> set[str]:
    """Give every role that an operator's handler gives."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SlotRole":
                found.update(constants(node.args[1]) if len(node.args) > 1 else [])
            elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "role" for t in node.targets):
                found.update(constants(node.value))
            elif isinstance(node, ast.For) and isinstance(node.target, ast.Tuple):
                found.update(_looped(node.target, node.iter))
    return found


def _looped(target: ast.Tuple, rows: ast.expr) -> list[str]:
    """Give the roles among the rows that a loop over a literal table goes through."""
    names = [one.id if isinstance(one, ast.Name) else "" for one in target.elts]
    if "role" not in names or not isinstance(rows, ast.Tuple):
        return []
    place = names.index("role")
    return [text for row in rows.elts if isinstance(row, ast.Tuple) for text in constants(row.elts[place])]


def literals(alias: object) -> set[str]:
    return set(get_args(alias))
