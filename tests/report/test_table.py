"""What people see first: the verdict in words, the layers they ask for, names that stay apart in 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onnxspec
from onnxspec.errors import UsageError
from onnxspec.report._names import short_names
from onnxspec.report.detail import detail_lines
from onnxspec.report.table import print_reports, render
from onnxspec.report.verdict import verdict
from onnxspec.report.view import View, view
from onnxspec.results import Layers, Report
from tests.policy.reports import failed, layer, report

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "models"
NOISE = {"verdict": "noise", "p_value": 0.3}


@pytest.fixture(scope="module")
def lenet() -> Report:
    return onnxspec.analyze(FIXTURES / "lenet5.onnx")


def said(made: Report) -> str:
    found = verdict(made)
    assert found is not None
    return "\n".join([found.headline, *found.details])


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("effort", ["fast", "standard", None])
def test_numbers_are_whole_or_left_out_in_any_terminal(lenet: Report, width: int, effort: str | None) -> None:
    made = lenet if effort == "standard" else replace(lenet, settings={"effort": effort} if effort else {})
    far = replace(lenet.layers["fc1"], name="encoder.layer.11.attention.output.dense", shape=(30522, 1024), N=30522)
    made = replace(made, layers=Layers([*lenet.layers, far]))
    out = io.StringIO()

    print_reports([made], out, width=width, color=False)

    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    (line,) = [line for line in lines if line.startswith("e") and ("30522x" in line)]
    assert "…" not in line.split(maxsplit=1)[1]
    if effort:
        assert f"{far.alpha:.2f}" in line


def test_lists_break_between_their_items(lenet: Report) -> None:
    out = io.StringIO()
    print_reports([lenet], out, width=79, color=False)
    assert "\n    vector 580\n" in out.getvalue()


def test_the_verdict_counts_what_it_says() -> None:
    layers = [layer(str(n), alpha=2.0 + n, alpha_ci=(1.5 + n, 2.5 + n)) for n in range(6)]
    text = said(report(*layers, layer("x", trained=NOISE, alpha=None, alpha_ci=None, reason="too_small")))
    assert "6 of 7 tested layers told from noise, 1 not (x)." in text
    assert "median 4.50 over 6 fitted layers; 95 % intervals from 2 to 6 in 3, above 6 in 1, across 2 or 6 in 2" in text
    assert "phases: bulk_spikes 7" in text
    assert "norms only: too_small 1" in text


def test_the_verdict_of_what_was_not_looked_at_is_none() -> None:
    assert said(report(failed("a", "non_finite"))).startswith("none: no layer was analysed.\nfailed: non_finite 1")
    assert "none on training" in said(replace(report(layer(trained=None)), settings={"effort": "fast"}))
    assert "no layer could be tested" in said(report(layer(trained={"verdict": None})))
    assert verdict(replace(report(layer()), settings={})) is None


def test_noise_and_isometric_layers() -> None:
    noisy = [layer(str(n), trained=NOISE) for n in range(5)]
    text = said(report(layer("a"), *noisy))
    assert text.startswith("most layers look like noise: 1 of 6 tested layers told from noise, 5 not.")
    isometric = said(report(layer("a"), layer("i", trained={"verdict": "isometric"})))
    assert "1 isometric, as orthogonal initialisation is (i)" in isometric


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (View(where=("alpha>2",)), ["conv2", "fc1"]),
        (View(where=("alpha=null",)), ["conv1", "fc2"]),
        (View(where=("alpha!=null", "role=dense")), ["fc1"]),
        (View(where=("trained=structured",), sort="-stable_rank", top=2), ["conv2", "fc1"]),
        (View(sort="alpha"), ["conv2", "fc1", "conv1", "fc2"]),
        (View(sort="-alpha"), ["fc1", "conv2", "conv1", "fc2"]),
        (View(sort="-name", top=1), ["fc2"]),
        (View(where=("mp.sigma_mp<=1e9", "M >= 500")), ["fc1"]),
        (View(where=("phase=BULK_decay",)), ["conv2"]),
        (View(where=("name>conv",)), []),
        (View(layer=("fc*", "conv1")), ["conv1", "fc1", "fc2"]),
    ],
)
def test_views(lenet: Report, wanted: View, names: list[str]) -> None:
    shown = view(lenet, wanted)
    assert [x.name for x in shown.layers] == names
    assert shown.summary == lenet.summary


@pytest.mark.parametrize("wanted", [View(where=("nothing=3",)), View(where=("alpha",)), View(sort="x")])
def test_views_that_cannot_be(lenet: Report, wanted: View) -> None:
    with pytest.raises(UsageError, match=r"where|no field"):
        view(lenet, wanted)


def test_one_layer_in_full(lenet: Report) -> None:
    text = "\n".join(detail_lines(lenet.layers["fc1"]))
    assert f"{lenet.layers['fc1'].alpha:.6g}" in text
    assert "levels                 - (continuous)" in text
    assert "500 eigenvalues of X" in text
    assert "^ xmin" in text
    shown = render([view(lenet, View(layer=("fc1",)))])
    assert "1 of 4 layers are shown" in shown
    assert text.splitlines()[5] in shown


def test_what_failed_has_its_reason_in_full() -> None:
    text = "\n".join(detail_lines(replace(failed("a", "non_finite", "1 of 9 values"), plot=None)))
    assert "failed: non_finite" in text
    assert "1 of 9 values" in text


def test_the_table_says_the_verdict_before_the_numbers_and_fits(lenet: Report) -> None:
    text = render([lenet])
    places = [text.index(word) for word in ("Coverage:", "Verdict:", "Summary of", "log ESD")]
    assert places == sorted(places)
    many = Layers([replace(layer(f"encoder.layer.{n}.attention.output.dense"), M=768, N=3072) for n in range(24)])
    wide = render([replace(report(*many), layers=many)])
    assert max(map(len, wide.splitlines())) <= 80
    assert len({line.split()[0] for line in wide.splitlines() if "3072x768" in line}) == 24


@given(st.lists(st.text(alphabet="ab.1/", max_size=30), max_size=12), st.integers(12, 30))
def test_short_names_fit_and_stay_apart(names: list[str], width: int) -> None:
    short = short_names(names, width)
    assert all(len(text) <= width for text in short)
    pairs = dict(zip(names, short))
    assert all(pairs[name] == name for name in names if len(name) <= width and short.count(name) == names.count(name))


def test_modules_are_abbreviated_alike() -> None:
    names = [f"encoder.layer.{n}.{part}" for n in range(3) for part in ("attention.self.query", "output.dense")]
    assert short_names(names, 16)[:2] == ["e.l.0.a.s.query", "e.l.0.o.dense"]
    assert short_names(names, 40) == names
    assert short_names(["abcdefghijklm.x", "abcdefghijklm.x"], 12) == ["abcd.x", "abcd.x"]
    assert len(set(short_names(["a" * 40 + x + "b" * 40 for x in "pqr"], 12))) == 3
