"""The HTML report as text: complete, inert, self-contained, small, and the same each time.

What a browser makes of it is tested in tests/browser.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

import onnxspec
from onnxspec.catalogue import entries, find
from onnxspec.report.html import render
from onnxspec.report.page import script_of_pages
from onnxspec.report.sentences import headline, layer_sentences, model_sentences
from onnxspec.report.table import coverage_lines
from onnxspec.report.verdict import verdict
from onnxspec.results import Diagnostic, Layer, Layers, Quantization, Report, Skip

MODELS = Path(__file__).resolve().parents[2] / "fixtures" / "models"
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred\x1b[0m\x00",
    "\u202edesrever\u200f",
    "=cmd()|' /C calc'!A0",
    "<!-- comment",
    "\ud800 lone",
    "&lt;b&gt;&amp;",
    "javascript:alert(1)",
    "x" * 1_000_000,
)
VOID = {"meta", "link", "br", "input", "hr", "img", "path", "use"}


class Page(HTMLParser):
    """What a parser sees of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.parts: list[str] = []
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._inside = [tag] if tag in ("style", "script") else []

    def handle_endtag(self, tag):
        self._inside = []

    def handle_data(self, data):
        if not self._inside:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def lenet() -> Report:
    return onnxspec.analyze(MODELS / "lenet5.onnx")


@pytest.fixture(scope="module")
def unhealthy() -> Report:
    return onnxspec.analyze(MODELS / "unhealthy.onnx")


def hostile(report: Report) -> Report:
    """Put every hostile text into every place that takes one."""
    layers = []
    for place, text in enumerate(HOSTILE):
        source = report.layers[place % len(report.layers)]
        layers.append(
            replace(
                source,
                id=f"{place}{text}",
                name=text,
                tensor=text,
                role=text,
                op_type=text,
                dtype=text,
                place=text,
                phase=text,
                used_by=(text,) * 3,
                chain=(text,),
                copies=(text,),
                warnings=(text,),
                reasons={text: text},
                reason=text,
                trained={"verdict": text, "parts": [{"name": text, "score": 3.0}], "reason": text},
                health={"tail": text, "flags": [text]},
                content_hash=text,
                value_hash=text,
            )
        )
    text = "".join(HOSTILE[:-1])
    return replace(
        report,
        layers=Layers(layers),
        model=replace(report.model, path=text, sha256=text, producer=text, opset_import={text: 1}),
        coverage=replace(report.coverage, by_reason={text: 1}, unsupported_ops={text: 2}),
        diagnostics=tuple(Diagnostic(text, "error", text, text) for text in HOSTILE),
        skipped=tuple(Skip(text, text, text, (1,), text, 1, text, text) for text in HOSTILE),
        findings=({"code": text, "message": text, "subject": {"a": text}}, {}),
        settings={**report.settings, text: text},
    )


def ways_out(page: Page) -> list[str]:
    """Give every attribute that could load or lead somewhere else, or run something."""
    found = [f"{tag} {name}={value}" for tag, name, value in page.attributes if name.startswith("on")]
    for tag, name, value in page.attributes:
        if name in ("src", "srcset", "action", "data", "poster", "background", "ping", "formaction", "xlink:href"):
            found.append(f"{tag} {name}={value}")
        if name == "href" and not re.fullmatch(r"#[\w-]+", value):
            found.append(f"{tag} {name}={value}")
    return found + [tag for tag in ("iframe", "object", "embed", "link", "base", "form", "img") if page.tags[tag]]


@pytest.mark.parametrize("which", ["lenet", "unhealthy"])
def test_a_page_is_self_contained(which: str, request: pytest.FixtureRequest) -> None:
    text = render([request.getfixturevalue(which)])
    page = Page(text)
    assert ways_out(page) == []
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert page.tags["script"] == 1


def test_every_link_leads_somewhere_and_every_id_is_there_once(lenet: Report, unhealthy: Report) -> None:
    for reports in ([lenet], [unhealthy], [lenet, unhealthy, lenet]):
        page = Page(render(reports))
        ids = Counter(page.values("id"))
        assert max(ids.values()) == 1
        assert {value[1:] for value in page.values("href")} <= set(ids)
        labels = {word for value in page.values("aria-labelledby") for word in value.split()}
        assert labels <= set(ids)


def test_the_policy_lets_run_the_script_of_the_page_alone(lenet: Report) -> None:
    text = render([lenet])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy content="([^"]*)"', text)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    assert "default-src 'none'" in rules
    assert f"script-src 'sha256-{digest}'" in rules
    assert text.index("Content-Security-Policy") < text.index("<style")


def test_hostile_texts_are_shown_and_do_nothing(lenet: Report) -> None:
    bad = hostile(lenet)
    text = render([bad])
    page, plain = Page(text), Page(render([lenet]))
    assert ways_out(page) == []
    assert page.tags["script"] == 1
    assert set(page.tags) - set(plain.tags) <= {"h3", "b"}
    assert "</script><script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    for character in ("\x1b", "\x00", "\u202e", "\u200f", "\ud800"):
        assert character not in text
    text.encode("utf-8")
    assert len(text) < 60_000 + 12_000 * len(bad.layers)


def test_several_hostile_reports_keep_their_ids_apart(lenet: Report) -> None:
    page = Page(render([hostile(lenet), hostile(lenet)]))
    assert max(Counter(page.values("id")).values()) == 1
    assert ways_out(page) == []


def test_what_stands_first_is_the_file_its_hash_and_the_coverage(lenet: Report) -> None:
    text = Page(render([lenet])).text
    places = [text.index(part) for part in (lenet.model.sha256, "4 of 4 weight slots analysed", headline(lenet))]
    assert places == sorted(places)
    assert text.index(headline(lenet)) < text.index("Summary 4 layers") < text.index("One row a layer")


def test_everything_of_the_report_is_in_the_page(unhealthy: Report) -> None:
    page = Page(render([unhealthy]))
    text = page.text
    for sentence in model_sentences(unhealthy):
        assert sentence in text
    for layer in unhealthy.layers:
        assert layer.name in text
        for sentence in layer_sentences(layer):
            assert " ".join(sentence.split()) in text
        for reason in {layer.reason, *layer.reasons.values()} - {None}:
            assert f"{reason}" in text
        for warning in layer.warnings:
            assert warning in text
    for note in unhealthy.diagnostics:
        assert note.message in text
    for skip in unhealthy.skipped:
        assert skip.slot in text
    assert "non_finite" in text


def test_numbers_stand_in_the_tables_with_links_to_their_formulas(lenet: Report) -> None:
    text = render([lenet])
    row = re.search(r"<a href=#L3>3 <bdi>fc1</bdi></a>(<td>[^\n]*)", text[text.index("<h4>Norms</h4>") :])
    assert row is not None
    assert f"{lenet.layers['fc1'].norm:.1f}" in row[1].split("<td>")
    anchor = re.search(r"<th><a href=#(g\d+)>log_norm</a>", text)
    assert anchor is not None
    entry = text[text.index(f"<dt id={anchor[1]}>") :]
    assert "log10" in entry[: entry.index("<dt", 1)]


def test_what_several_terms_share_stands_once_and_leads_to_where_it_stands(lenet: Report) -> None:
    text = render([lenet])
    shared = [entry for entry in entries("metric") if entry.not_meaning == find("norm")[0].not_meaning]
    assert len(shared) > 2
    page = Page(text)
    assert page.text.count(shared[0].not_meaning or "") == 1
    for entry in shared[1:]:
        told = re.search(rf"<dt id=\S+>{entry.name} <i>.*?(?=<dt|</dl>)", text, re.DOTALL)
        assert told is not None
        assert "As for <a href=#g" in told[0]
        assert ">norm</a>." in told[0]


def test_the_glossary_holds_what_occurs_and_no_more(lenet: Report) -> None:
    page = Page(render([lenet]))
    terms = {value for tag, name, value in page.attributes if tag == "dt" and name == "id"}
    assert terms == {value[1:] for value in page.values("href") if re.fullmatch(r"#g\d+", value)}
    assert len(terms) > 80
    assert "bleeding_out" not in page.text
    assert "cross_check" in page.text
    assert "What the powerlaw package finds" not in page.text


def test_the_script_loses_spaces_and_nothing_else() -> None:
    texts = re.compile(r'"[^"]*"|\'[^\']*\'')
    source = (files("onnxspec.report") / "templates" / "report.js").read_text(encoding="utf-8")
    source = "\n".join(line for line in source.splitlines() if not line.strip().startswith("//"))
    squeezed = script_of_pages()
    assert texts.findall(squeezed) == texts.findall(source)
    assert "".join(texts.sub("", squeezed).split()) == "".join(texts.sub("", source).split())
    assert len(squeezed) < 0.85 * len(source)


def test_spikes_that_are_not_marked_are_said(lenet: Report) -> None:
    assert "12 spikes</figcaption>" in render([lenet])
    one = lenet.layers["fc1"]
    assert one.plot is not None
    few = replace(one, plot=replace(one.plot, top_evals=one.plot.top_evals[:5]))
    assert "12 spikes, the largest 5 marked</figcaption>" in render([replace(lenet, layers=Layers([few]))])


def test_a_number_that_is_missing_is_never_invented(unhealthy: Report) -> None:
    cells = re.findall(r"<(?:td|dd)[^>]*>([^<]*)", render([unhealthy]))
    assert len(cells) > 200
    assert not {"nan", "NaN", "None", "inf", "−inf", "-1"} & {cell.strip() for cell in cells}


def test_the_same_reports_give_the_same_bytes(lenet: Report, tmp_path: Path) -> None:
    first = render([lenet])
    assert render([Report.from_json(lenet.to_json())]) == first
    saved = tmp_path / "report.json"
    saved.write_text(lenet.to_json(), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from onnxspec.results import reports_from_json;"
        "from onnxspec.report.html import render;"
        "sys.stdout.buffer.write(render(reports_from_json(Path(sys.argv[1]).read_bytes())).encode())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(saved)], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert done.stdout.decode() == first


def test_a_page_needs_no_numerics(tmp_path: Path) -> None:
    code = "import sys; import onnxspec.report.html; from onnxspec.results import Report; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy", "numba", "onnx", "matplotlib"} & {name.split(".")[0] for name in loaded}


@pytest.fixture(scope="module")
def thorough() -> Report:
    return onnxspec.analyze(MODELS / "lenet5.onnx", effort="full")


@pytest.mark.parametrize("which", ["lenet", "unhealthy", "thorough"])
def test_size(which: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(which)
    fitted = max(report.layers, key=lambda layer: layer.n_tail or 0)
    for layers in (list(report.layers), *([layer] for layer in report.layers), [fitted] * 4, [fitted] * 100):
        size = len(render([replace(report, layers=Layers(layers))]).encode())
        assert size <= 60_000 + 6_000 * len(layers), [layer.name for layer in layers[:4]]


def test_size_of_a_quantised_layer(thorough: Report) -> None:
    stored = Quantization("MatMulNBits", 4, "block", 32, clipped=3, unused=1, step=0.01, noise_floor=0.002)
    one = replace(thorough.layers["fc1"], quantization=stored)
    assert len(render([replace(thorough, layers=Layers([one]))]).encode()) <= 66_000


def test_reports_without_numbers(fixtures: Path) -> None:
    report = onnxspec.inspect(fixtures / "models" / "lenet5.onnx")
    page = Page(render([report]))
    assert "nothing was computed" in page.text
    assert "4 of 4 weight slots readable" in page.text
    for layer in report.layers:
        assert layer.name in page.text
    fast = onnxspec.analyze(fixtures / "models" / "mlp3.onnx", effort="fast")
    text = Page(render([fast])).text
    assert "effort fast does not test for noise" in text
    empty = replace(fast, layers=Layers(), diagnostics=())
    assert "no layer was analysed" in Page(render([empty])).text


def test_several_reports_have_an_index(lenet: Report, unhealthy: Report) -> None:
    page = Page(render([lenet, unhealthy]))
    assert "2 models" in page.text
    assert page.tags["article"] == 2
    assert {"r1top", "r2top", "r1L1", "r2L1"} <= set(page.values("id"))


def test_the_verdict_is_that_of_every_format(lenet: Report, unhealthy: Report) -> None:
    for report in (lenet, unhealthy):
        told = verdict(report)
        assert told is not None
        assert headline(report).lower() == told.headline.lower()
        page = Page(render([report])).text
        assert headline(report) in page
        for detail in told.details:
            assert detail.lower() in page.lower()


def test_the_page_and_the_table_never_round_up_to_all(lenet: Report) -> None:
    for part, text in ((1255500, "99.9 %"), (1256082, "100.0 %"), (1, "<0.1 %"), (0, "0.0 %")):
        coverage = replace(lenet.coverage, parameters_total=1256082, parameters_analyzed=part, slots=3000)
        report = replace(lenet, coverage=replace(coverage, slots_analyzed=2999 if part == 1255500 else 3000))
        page = render([report])
        assert f"({text})" in Page(page).text
        assert f"({text})" in " ".join(coverage_lines(report))
        if text == "99.9 %":
            assert "100.0 %" not in page
            assert "100.0 %" not in " ".join(coverage_lines(report))
            assert page.count("width:99.9%") == 2


def test_caveats_count_what_they_are_about(lenet: Report) -> None:
    def within(half: dict[str, float]) -> list[Layer]:
        return [
            replace(x, alpha_ci=(x.alpha - half[x.name], x.alpha + half[x.name])) if x.alpha else x
            for x in lenet.layers
        ]

    fitted = [x.name for x in lenet.layers if x.alpha]
    rough = within(dict.fromkeys(fitted, 0.1) | {fitted[0]: 3.0})
    sentences = model_sentences(replace(lenet, layers=Layers(rough)))
    assert any(f"rough in 1 of {len(fitted)} fitted layers" in sentence for sentence in sentences)
    sharp = within(dict.fromkeys(fitted, 0.1))
    told = model_sentences(replace(lenet, layers=Layers(sharp)))
    assert not any("rough" in sentence for sentence in told)
    assert not any("need not be untrained" in sentence for sentence in told)
    noise = [replace(x, trained={"verdict": "noise"}, health={"flags": ["a"]}) for x in lenet.layers]
    told = model_sentences(replace(lenet, layers=Layers(noise)))
    assert any("need not be untrained" in sentence for sentence in told)
    assert not any("well trained" in sentence for sentence in told)
    assert "Flags: a 4." in told


def test_a_failed_layer_says_why(unhealthy: Report) -> None:
    (failed,) = (layer for layer in unhealthy.layers if layer.status == "failed")
    (sentence,) = layer_sentences(failed)
    assert "non_finite" in sentence
    assert "No number of it enters a mean" in sentence


def test_findings_of_a_saved_report_are_shown(lenet: Report) -> None:
    finding = {"code": "OS301", "severity": "error", "state": "new", "message": "it is noise", "subject": "fc1"}
    text = Page(render([replace(lenet, findings=(finding,))])).text
    assert all(part in text for part in finding.values())
    assert "What the policy found" not in Page(render([lenet])).text


def test_quantised_layers_say_how(lenet: Report) -> None:
    stored = Quantization("MatMulNBits", 4, "block", 32, clipped=3, unused=1, step=0.01, noise_floor=0.002)
    layers = [replace(layer, quantization=stored) for layer in lenet.layers]
    text = Page(render([replace(lenet, layers=Layers(layers))])).text
    assert "Quantised by MatMulNBits: 4 bits, one scale for 32 elements." in text
    assert "noise_floor" in text


def test_strange_numbers_do_no_harm(lenet: Report) -> None:
    layer = replace(
        lenet.layers["fc1"],
        alpha=1e300,
        alpha_ci=(-1e300, 1e300),
        alpha_hat=-1e308,
        stable_rank=1e-320,
        log_norm=1e308,
        mp={"N": "x", "sigma_mp": [1, {"a": 2}], "reason": 7},
        trained={"verdict": 3, "p_value": "x", "parts": 5},
        phase_evidence={"features": [1], "confidence": True},
        health={"flags": 3},
        alpha_profile={"minima": [3, {"alpha": "x"}]},
        erg={"ecs_k": 10**400},
    )
    layers = Layers([layer, replace(layer, alpha_hat=1e308), Layer("a", "b", "c", "d", "e", (), (), "f", 0)])
    assert Page(render([replace(lenet, layers=layers)])).tags["article"] == 1
