"""Options from ``onnxspec.toml`` or ``[tool.onnxspec]`` of pyproject.toml in the current folder.

A key at the top holds for every command that has such an option, a key in a table
``[analyze]`` for that command alone. The order is: option, environment, file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxspec.errors import UsageError

__all__ = ["defaults", "value_of"]

MAX_BYTES = 2**20


def defaults(known: Callable[[], Mapping[str, Mapping[str, str]]], folder: Path) -> dict[str, dict[str, Any]]:
    """Read the configuration of a folder.

    Parameters
    ----------
    known : callable
        Gives for each command its options by the name in the file, and the parameters
        behind them; called only where there is a file.
    folder : Path
        Where to look.

    Returns
    -------
    dict
        For each command, the parameters that the file sets.

    Raises
    ------
    UsageError
        The file cannot be read, or has a key that is no option.
    """
    path, table = _read(folder)
    if not table:
        return {}
    options = known()
    result: dict[str, dict[str, Any]] = {command: {} for command in options}
    for key, value in table.items():
        if isinstance(value, dict):
            if key not in options:
                raise UsageError(f"{path}: [{key}] is no command; there are {', '.join(options)}.")
            unknown = sorted(set(value) - set(options[key]))
            if unknown:
                raise UsageError(f"{path}: {unknown[0]!r} is no option of {key}.")
            result[key] |= {options[key][name]: item for name, item in value.items()}
            continue
        having = [command for command in options if key in options[command]]
        if not having:
            raise UsageError(f"{path}: {key!r} is no option of any command.")
        for command in having:
            result[command].setdefault(options[command][key], value)
    return result


def value_of(folder: Path, command: str, option: str) -> Any:
    """Give what the configuration sets an option of a command to; None where it does not.

    Raises
    ------
    UsageError
        The file cannot be read.
    """
    table = _read(folder)[1]
    own = table.get(command)
    return own[option] if isinstance(own, dict) and option in own else table.get(option)


def _read(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Read the first file that is there."""
    for name, keys in (("onnxspec.toml", ()), ("pyproject.toml", ("tool", "onnxspec"))):
        path = folder / name
        try:
            if not path.is_file():
                continue
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(f"{path}: the file is larger than {MAX_BYTES} bytes.")
            import tomllib

            data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: the configuration cannot be read: {error}.") from None
        except RecursionError:
            raise UsageError(f"{path}: the configuration cannot be read: it is nested too deep.") from None
        for key in keys:
            data = data.get(key, {}) if isinstance(data, dict) else {}
        if data:
            return path, data
    return folder, {}
