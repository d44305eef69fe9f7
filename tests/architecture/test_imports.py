"""The import rules of the house: one direction, and heavy libraries only where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "onnxspec"
LEVELS = (
    {
        "errors",
        "limits",
        "settings",
        "results",
        "palette",
        "_digest",
        "_distinct",
        "_files",
        "catalogue",
    },
    {"_jit", "laws", "reading"},
    {"graph", "spectra", "fits"},
    {"diagnosis", "weightwatcher", "theory"},
    {"plots", "comparing"},
    {"layers"},
    {"store"},
    {"engine"},
    {"distributed"},
    {"studies"},
    {"cli"},
)
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
ONLY_LEVEL_0 = {"policy", "report"}
LIBRARIES = {
    "blake3": {"_digest.py"},
    "onnx": {"reading/proto.py"},
    "numba": {"_jit.py"},
    "typer": {"cli/"},
    "rich": {"cli/", "report/fleet.py", "report/table.py"},
    "matplotlib": {"plots/"},
    "jinja2": {"report/page.py"},
    "distributed": {"distributed.py"},
    "onnxruntime": {"graph/runtime.py", "graph/runtime_child.py"},
    "powerlaw": {"fits/cross_check.py"},
    "pandas": {"results/report.py"},
    "polars": {"results/report.py", "report/parquet.py"},
}
INSIDE_FUNCTIONS = {
    "distributed",
    "onnx",
    "onnxruntime",
    "powerlaw",
    "matplotlib",
    "jinja2",
    "pandas",
    "polars",
    "scipy",
    "ml_dtypes",
}
MAX_LINES = 500


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Give every imported module, and whether the import runs when the module is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []

    def visit(node: ast.AST, at_load: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, at_load) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.append((child.module, at_load))
                if child.module == "onnxspec":
                    found.extend((f"onnxspec.{alias.name}", at_load) for alias in child.names if alias.name in LEVEL)
            type_checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, at_load and not type_checking and not inside)

    visit(tree, True)
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    assert here in LEVEL or here in ONLY_LEVEL_0, f"{here} has no level yet: enter it in LEVELS"
    for name, _ in imports(path):
        if not name.startswith("onnxspec."):
            continue
        there = name.split(".")[1]
        if there == here:
            continue
        if here in ONLY_LEVEL_0:
            assert LEVEL.get(there) == 0, f"{path.name} sees {name}; {here} may see level 0 alone"
        elif there in ONLY_LEVEL_0:
            assert here == "cli", f"{path.name} imports {name}"
        else:
            assert LEVEL[there] < LEVEL[here] or (LEVEL[there] == LEVEL[here] == 0), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_where_they_belong(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for name, at_load in imports(path):
        library = name.split(".")[0]
        if library in LIBRARIES:
            allowed = any(relative == place or relative.startswith(place) for place in LIBRARIES[library])
            assert allowed, f"{relative} imports {library}"
        if library in INSIDE_FUNCTIONS:
            assert not at_load, f"{relative} imports {library} when it is loaded; import it where it is used"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def loaded_after(statement: str, *, whole: bool = False) -> set[str]:
    """Give what is imported once a statement ran: packages, or modules by their whole names."""
    code = f"import sys\n{statement}\nprint('\\f' + '\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name if whole else name.split(".")[0] for name in done.stdout.rpartition("\f")[2].split()}


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"onnx", "numba", "scipy", "matplotlib", "onnxruntime", "numpy", "rich", "typer"}
    assert not loaded_after("import onnxspec") & heavy


def test_inspect_loads_no_numerics() -> None:
    assert not loaded_after("from onnxspec.engine import inspect") & {"numba", "scipy", "matplotlib", "onnxruntime"}


def test_the_program_starts_with_what_every_command_needs() -> None:
    """Help, and a fast analysis that shows nothing on a terminal, load none of what other commands are made of."""
    help_text = (
        "import onnxspec.cli, contextlib\nwith contextlib.suppress(SystemExit):\n    onnxspec.cli.app(['--help'])"
    )
    assert not loaded_after(help_text) & {"numpy", "numba", "scipy", "onnx", "google", "rich", "jinja2", "pydantic"}
    model = PACKAGE.parent / "fixtures/models/linear_gemm.onnx"
    arguments = ["analyze", str(model), "-q", "-f", "json", "--effort", "fast", "--jobs", "1"]
    run = help_text.replace("['--help']", repr(arguments))
    heavy = {
        "numba",
        "scipy",
        "onnx",
        "rich",
        "pydantic",
        "matplotlib",
        "jinja2",
        "sqlite3",
        "numpy.ma",
        "numpy.random",
    }
    loaded = loaded_after(run, whole=True)
    assert "onnxspec.layers.analyze" in loaded
    assert not loaded & (heavy | {"onnxspec.engine.remote", "onnxspec._jit"})


def test_the_fast_effort_loads_no_compiler() -> None:
    model = PACKAGE.parent / "fixtures/models/linear_gemm.onnx"
    statement = f"import onnxspec\nassert onnxspec.analyze({str(model)!r}, effort='fast').layers[0].alpha"
    assert not loaded_after(statement) & {"numba", "llvmlite", "scipy", "matplotlib", "onnxruntime"}


def test_the_program_spares_itself_what_numba_loads_for_blas() -> None:
    model = PACKAGE.parent / "fixtures/models/linear_gemm.onnx"
    statement = f"import onnxspec.cli, onnxspec\nassert onnxspec.analyze({str(model)!r}).layers[0].trained"
    code = f"import sys\n{statement}\nprint('numba' in sys.modules, 'scipy.linalg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_saved_report_needs_no_model_libraries() -> None:
    statement = "from onnxspec import Report\nimport onnxspec.report.json, onnxspec.report.csv"
    assert not loaded_after(statement) & {"onnx", "numba", "scipy", "numpy", "onnxruntime", "matplotlib"}


def circles(folder: str) -> list[str]:
    """Give the modules of a folder that import each other in a circle; imports for types alone count too."""
    package = f"onnxspec.{folder}".replace("/", ".")
    names = {f"{package}.{path.stem}": path for path in (PACKAGE / folder).glob("*.py") if path.stem[0] != "_"}
    open_imports: dict[str, set[str]] = {}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                seen |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        open_imports[name] = (seen & names.keys()) - {name}
    while True:
        done = {name for name, seen in open_imports.items() if not seen & open_imports.keys()}
        if not done:
            return sorted(open_imports)
        for name in done:
            del open_imports[name]


@pytest.mark.parametrize(
    "folder", ["graph", "reading", "comparing", "comparing/evidence", "comparing/series", "comparing/checkpoints"]
)
def test_modules_of_a_folder_stand_in_no_circle(folder: str) -> None:
    assert circles(folder) == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "comparing").glob("*/*.py")), ids=lambda path: path.name)
def test_what_is_measured_of_models_knows_nothing_of_what_is_made_of_it(path: Path) -> None:
    """The folders of comparing stand below its modules, and beside each other."""
    folder = f"onnxspec.comparing.{path.parent.name}"
    assert [
        name for name, _ in imports(path) if name.startswith("onnxspec.comparing") and not name.startswith(folder)
    ] == []
