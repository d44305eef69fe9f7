"""A store saves work, and never changes a number, whatever happens to its file."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxspec
from onnxspec.store import DEFAULT_NAME, ResultStore, StoreWarning, clear, describe, located
from onnxspec.store.database import CREATE, Database, StoreError
from tests.graph.build import model, rng

SHAPES = [(40, 30), (33, 20), (24, 24), (50, 12)]


def write(path: Path, arrays: list[np.ndarray], prefix: str = "w") -> Path:
    nodes = [helper.make_node("Gemm", ["x", f"{prefix}{i}"], [f"y{i}"], transB=1) for i in range(len(arrays))]
    proto = model(
        nodes, {f"{prefix}{i}": a for i, a in enumerate(arrays)}, outputs=[f"y{i}" for i in range(len(arrays))]
    )
    path.write_bytes(proto.SerializeToString())
    return path


def matrices(seed: int = 0) -> list[np.ndarray]:
    return [rng(seed + i).standard_normal(shape).astype(np.float32) for i, shape in enumerate(SHAPES)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "model.onnx", matrices())


def analyse(path: Path, place: Path, **options: object) -> tuple[str, ResultStore]:
    with ResultStore(place) as store:
        return onnxspec.analyze(path, store=store, min_evals=10, jobs=1, **options).to_json(), store


def plain(path: Path) -> str:
    return onnxspec.analyze(path, min_evals=10, jobs=1).to_json()


def test_the_second_run_computes_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, store = analyse(path, tmp_path / "store")
    assert (store.reused, store.added, store.problems) == (0, len(SHAPES), [])
    monkeypatch.setattr("onnxspec.layers.analyze.analyze_layer", lambda *_: pytest.fail("a layer was computed"))
    second, store = analyse(path, tmp_path / "store")
    assert (store.reused, store.added, store.problems) == (len(SHAPES), 0, [])
    assert first == second == analyse(path, tmp_path / "store")[0]


def test_a_store_changes_no_byte(path: Path, tmp_path: Path) -> None:
    assert analyse(path, tmp_path / "store")[0] == plain(path)


def test_equal_weights_of_another_file_are_reused_under_its_names(path: Path, tmp_path: Path) -> None:
    analyse(path, tmp_path / "store")
    arrays = matrices()
    arrays[2] = arrays[2] + 1
    other = write(tmp_path / "other.onnx", arrays[::-1], "renamed")
    text, store = analyse(other, tmp_path / "store")
    assert (store.reused, store.added) == (len(SHAPES) - 1, 1)
    assert text == plain(other)


def test_failed_and_left_out_layers_are_not_kept(tmp_path: Path) -> None:
    arrays = matrices()
    arrays[0][3, 3] = np.nan
    path = write(tmp_path / "model.onnx", arrays)
    limits = onnxspec.Limits(matrix_bytes=30_000)
    with ResultStore(tmp_path / "store") as store:
        report = onnxspec.analyze(path, store=store, limits=limits)
    reasons = [layer.reason for layer in report.layers if layer.status != "ok"]
    assert "memory_limit" in reasons
    assert store.added == sum(layer.status == "ok" for layer in report.layers) > 0
    again, store = analyse(path, tmp_path / "store")
    assert again == plain(path)


def test_what_is_in_the_store_needs_no_memory_and_no_time(path: Path, tmp_path: Path) -> None:
    analyse(path, tmp_path / "store")
    limits = onnxspec.Limits(matrix_bytes=1)
    with ResultStore(tmp_path / "store") as store:
        report = onnxspec.analyze(path, store=store, min_evals=10, limits=limits)
    assert store.reused == len(SHAPES)
    assert all(layer.status == "ok" for layer in report.layers)


def test_a_path_is_opened_for_one_analysis(path: Path, tmp_path: Path) -> None:
    onnxspec.analyze(path, store=tmp_path / "store")
    assert describe(tmp_path / "store").layers == len(SHAPES)
    (tmp_path / "text").write_text("no store")
    with pytest.warns(StoreWarning, match="no result store"):
        onnxspec.analyze(path, store=tmp_path / "text")


def test_places(tmp_path: Path) -> None:
    (tmp_path / "folder.d").mkdir()
    assert located(tmp_path / "folder.d") == tmp_path / "folder.d" / DEFAULT_NAME
    assert located(f"{tmp_path}/new.d/") == tmp_path / "new.d" / DEFAULT_NAME
    assert located(tmp_path / "new") == tmp_path / "new" / DEFAULT_NAME
    assert located(tmp_path / "file.sqlite") == tmp_path / "file.sqlite"


KILL = """
import os, signal, sys
import onnxspec, onnxspec.layers.analyze
from onnxspec.store import ResultStore
original, left = onnxspec.layers.analyze.analyze_layer, int(sys.argv[3])
def killed(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
onnxspec.layers.analyze.analyze_layer = killed
onnxspec.analyze(sys.argv[1], store=ResultStore(sys.argv[2]), min_evals=10, jobs=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_loses_the_layer_in_hand_alone(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "store"
    done = subprocess.run([sys.executable, "-c", KILL, str(path), str(place), "3"])
    assert done.returncode == -9
    text, store = analyse(path, place)
    assert (store.reused, store.added, store.problems) == (3, len(SHAPES) - 3, [])
    assert text == plain(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_while_it_writes_leaves_a_sound_store(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    code = (
        "import os, signal, sys; from pathlib import Path; from onnxspec.store.database import Database\n"
        "database = Database(Path(sys.argv[1])); run = database._connection.execute\n"
        "run('PRAGMA cache_size = 1'); run('PRAGMA cache_spill = 1'); run('BEGIN IMMEDIATE')\n"
        "for i in range(300): run(\"INSERT INTO layers VALUES (?, 'v', ?, x'00', 0, 0)\", (b'%d' % i, bytes(5000)))\n"
        "run('DELETE FROM layers')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(place)]).returncode == -9
    assert Path(f"{place}-journal").exists(), "the transaction must have reached the disk"
    text, store = analyse(path, place)
    assert (store.reused, store.problems) == (len(SHAPES), [])
    assert text == plain(path)


def test_two_processes_write_one_store(tmp_path: Path) -> None:
    place = tmp_path / "store"
    paths = [
        write(tmp_path / f"{i}.onnx", [a for _ in range(4) for a in matrices(100 * i + len(SHAPES) * _)])
        for i in (1, 2)
    ]
    code = (
        "import sys, onnxspec; from onnxspec.store import ResultStore\n"
        "with ResultStore(sys.argv[2]) as store:\n"
        "    text = onnxspec.analyze(sys.argv[1], store=store, effort='fast', jobs=2).to_json()\n"
        "assert not store.problems, store.problems\n"
        "open(sys.argv[1] + '.json', 'w').write(text)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(p), str(place)]) for p in [*paths, paths[0]]]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert describe(place).layers == 32
    for path in paths:
        assert Path(f"{path}.json").read_text() == onnxspec.analyze(path, effort="fast").to_json()
        with ResultStore(place) as store:
            onnxspec.analyze(path, effort="fast", store=store)
        assert store.reused == 16


def test_a_locked_store_costs_its_use_alone(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxspec.store.database.WAIT_SECONDS", 0.05)
    place = tmp_path / "store.sqlite"
    with ResultStore(place) as store:
        other = sqlite3.connect(place, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        text = onnxspec.analyze(path, store=store, min_evals=10, jobs=1).to_json()
        other.close()
    assert text == plain(path)
    assert len(store.problems) == 1
    assert "locked" in store.problems[0]


def test_foreign_files_are_left_alone(path: Path, tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("a text " * 100)
    foreign = sqlite3.connect(tmp_path / "foreign.sqlite")
    foreign.execute("CREATE TABLE other (x)")
    foreign.commit()
    foreign.close()
    expected = plain(path)
    for name in ("text.sqlite", "foreign.sqlite"):
        before = (tmp_path / name).read_bytes()
        text, store = analyse(path, tmp_path / name)
        assert text == expected
        assert len(store.problems) == 1
        assert (tmp_path / name).read_bytes() == before
        with pytest.raises(StoreError):
            clear(tmp_path / name)


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE VIEW layers AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n",
        CREATE + "; CREATE TRIGGER t AFTER INSERT ON layers BEGIN DELETE FROM layers; END",
        CREATE + "; PRAGMA user_version = 99",
        "CREATE TABLE layers (key, version, row, checksum, created, used)",
    ],
)
def test_schemas_of_others_are_refused(path: Path, tmp_path: Path, schema: str) -> None:
    place = tmp_path / "store.sqlite"
    made = sqlite3.connect(place)
    made.executescript(f"PRAGMA application_id = {0x6F6E7370}; PRAGMA user_version = 1; {schema}")
    made.close()
    text, store = analyse(path, place)
    assert text == plain(path)
    assert len(store.problems) == 1
    assert store.added == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_folders_are_no_stores(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sqlite")
    (tmp_path / "inner" / DEFAULT_NAME).mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "pipe.sqlite", tmp_path / "inner", tmp_path / "file" / "below.sqlite"):
        text, store = analyse(path, place)
        assert text == plain(path)
        assert len(store.problems) == 1


def test_broken_bytes_never_change_a_number(path: Path, tmp_path: Path) -> None:
    """Break a store in many ways: the report stays the same, and there is a note or a full store."""
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    sound, expected = place.read_bytes(), plain(path)
    chance = random.Random(7)
    noted = 0
    for turn in range(40):
        data = bytearray(sound)
        if turn % 4 == 0:
            del data[chance.randrange(1, len(data)) :]
        else:
            for _ in range(1 + 10 * (turn % 4)):
                data[chance.randrange(100 if turn % 8 else 0, len(data))] ^= 1 << chance.randrange(8)
        place.write_bytes(data)
        text, store = analyse(path, place)
        assert text == expected
        noted += bool(store.problems)
    assert noted > 10


def test_a_damaged_row_is_computed_and_written_again(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    broken = sqlite3.connect(place)
    broken.execute("UPDATE layers SET row = substr(row, 1, 100) WHERE rowid = 2")
    broken.execute("UPDATE layers SET row = 'text' WHERE rowid = 3")
    broken.commit()
    broken.close()
    text, store = analyse(path, place)
    assert text == plain(path)
    assert (store.reused, store.added) == (len(SHAPES) - 2, 2)
    assert len(store.problems) == 1
    assert "damaged" in store.problems[0]
    assert analyse(path, place)[1].problems == []


def test_a_swapped_row_is_refused(path: Path, tmp_path: Path) -> None:
    """The checksum covers the key: a sound row under the key of another layer is not used."""
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    forged = sqlite3.connect(place)
    first, second = forged.execute("SELECT key, row, checksum FROM layers LIMIT 2").fetchall()
    forged.execute("UPDATE layers SET row = ?, checksum = ? WHERE key = ?", (*second[1:], first[0]))
    forged.commit()
    forged.close()
    text, store = analyse(path, place)
    assert text == plain(path)
    assert store.reused == len(SHAPES) - 1


READ_ONLY = """
import os, sys
from pathlib import Path
from onnxspec.store.database import Database
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
database = Database(Path(sys.argv[1]))
print(database.writable, database.info().layers)
"""


@pytest.mark.skipif(os.name == "nt", reason="access rights are another thing on Windows")
def test_a_read_only_store_is_read(path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        _read_as_another_user(path, Path(name))


def _read_as_another_user(path: Path, folder: Path) -> None:
    analyse(path, folder)
    (folder / DEFAULT_NAME).chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder / DEFAULT_NAME)], capture_output=True, text=True
        )
    finally:
        folder.chmod(0o755)
    assert done.stdout.split() == ["False", str(len(SHAPES))], done.stderr


def test_a_store_that_cannot_be_written_gives_what_it_has(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through the engine, as root too: sqlite is told that the file is read-only."""
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    opened = Database._opened

    def read_only(self: Database) -> sqlite3.Connection:
        connection = opened(self)
        connection.execute("PRAGMA query_only = ON")
        self.writable = False
        return connection

    monkeypatch.setattr(Database, "_opened", read_only)
    arrays = [*matrices(), matrices(50)[0]]
    more = write(tmp_path / "more.onnx", arrays)
    text, store = analyse(more, place)
    assert text == plain(more)
    assert (store.reused, store.added) == (len(SHAPES), 0)
    assert "cannot be written" in store.problems[0]


def test_clear_by_age_keeps_what_was_used(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "store.sqlite"
    analyse(path, place)
    aged = sqlite3.connect(place)
    aged.execute("UPDATE layers SET used = ?", (int(time.time()) - 40 * 86_400,))
    aged.commit()
    aged.close()
    one = write(tmp_path / "one.onnx", matrices()[:1])
    analyse(one, place)
    info = describe(place)
    assert info.layers == len(SHAPES)
    assert info.oldest is not None
    assert info.newest is not None
    assert info.newest - info.oldest > 30 * 86_400
    assert clear(place, unused_seconds=30 * 86_400.0) == len(SHAPES) - 1
    assert analyse(one, place)[1].reused == 1
    assert clear(place) == 1
    assert describe(place).layers == 0
    assert describe(place).bytes < info.bytes


def test_there_must_be_a_store_to_clear(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        clear(tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_run_that_computes_nothing_loads_nothing_that_computes(path: Path, tmp_path: Path) -> None:
    analyse(path, tmp_path / "store")
    code = (
        "import sys, onnxspec\n"
        "from onnxspec.store import ResultStore\n"
        "with ResultStore(sys.argv[2]) as store:\n"
        "    report = onnxspec.analyze(sys.argv[1], store=store, min_evals=10, jobs=1)\n"
        "assert any(layer.trained for layer in report.layers)\n"
        "late = {'numba', 'scipy', 'onnxspec.layers.analyze', 'onnxspec.layers.verdicts'}\n"
        "print(store.reused, *sorted(late & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "store")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(len(SHAPES))]
