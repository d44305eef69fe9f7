"""Batch size moves MiniAlexNet's dense layers through the phases; seed 001, "Batch Size Tuning".

python tools/experiments/batch_size.py [--quick] [--limit N]

Two sweeps: the published recipe with fewer images and epochs, and the same network with cross
entropy, whose larger gradients carry it through all phases in as few steps.
"""

from __future__ import annotations

from typing import Any

import drawing
import lab as common

SIZES = (2, 500, 8, 32, 4, 16, 100, 1000, 250)
SEEDS = (1, 2, 3)
TEST = 1000
SWEEPS: dict[str, dict[str, Any]] = {
    "published": {"train": 5000, "epochs": 6},
    "cross_entropy": {"train": 1000, "epochs": 5, "loss": "cross_entropy", "lr": 0.002},
}
TITLES = {"published": "The published recipe, shortened", "cross_entropy": "The same network with cross entropy"}
PUBLISHED_SPIKES = {1000: 0, 500: 0, 250: 0, 32: 90, 16: 90, 8: 175, 4: 325, 2: 520}
"""On FC1, ten runs together; from the authors' repository ImplicitSelfRegularization."""
PUBLISHED_SOFT_RANK = {1000: 1.0, 500: 1.0, 250: 1.0, 32: 0.74, 16: 0.60, 8: 0.44, 4: 0.29, 2: 0.0}
PUBLISHED_STARTS = {"FC1": (0.992, 222.0), "FC2": (0.9525, 66.0)}
COLUMNS = (
    "stable_rank", "mp_softrank", "entropy", "spikes", "alpha", "alpha_stderr", "n_tail", "lambda_max", "lambda_plus",
    "phase", "phase_confidence", "trained",
)  # fmt: skip


def recipe_of(sweep: str, size: int, seed: int) -> Any:
    """Give the recipe of one run."""
    from runs import Recipe

    return Recipe("mini_alexnet", test=TEST, batch=size, seed=seed, **SWEEPS[sweep])


def label_of(sweep: str, size: int, seed: int) -> str:
    return f"{sweep}_batch_{size:04d}_seed_{seed}"


def rows_of(run: dict[str, Any], sweep: str) -> list[dict[str, Any]]:
    """Give a row for each layer, at the start and at the end."""
    recipe, last = run["recipe"], run["history"][-1]
    steps = -(-recipe["train"] // recipe["batch"])
    found = []
    for row in run["rows"]:
        head = {"sweep": sweep, "batch": recipe["batch"], "seed": recipe["seed"], "layer": row["layer"]}
        done = {"epoch": row["epoch"], "steps": row["epoch"] * steps}
        accuracies = {k: last[k] if row["epoch"] else None for k in ("train_accuracy", "test_accuracy")}
        sigma = None if row["sigma_mp"] is None else row["sigma_mp"] * row["N"] ** 0.5
        found.append({**head, **done, **accuracies, "sigma_mp_sqrt_N": sigma, **{k: row[k] for k in COLUMNS}})
    return found


def rank_correlations(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give Spearman's rho between batch size and what a layer shows, over all runs and over the means of each size."""
    from scipy.stats import spearmanr

    found = []
    for layer in ("FC1", "FC2"):
        for metric in ("spikes", "mp_softrank", "stable_rank", "test_accuracy"):
            known = [(row["batch"], row[metric]) for row in rows if row["layer"] == layer and row[metric] is not None]
            sizes = sorted({size for size, _ in known})
            means = [common.mean([value for at, value in known if at == size]) for size in sizes]
            pairs: dict[str, Any] = {"layer": layer, "metric": metric, "runs": len(known)}
            constant = len({value for _, value in known}) < 2
            pairs["rho, all runs"] = None if constant else float(spearmanr(*zip(*known)).statistic)
            pairs["rho, means"] = None if constant else float(spearmanr(sizes, means).statistic)
            found.append(pairs)
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the means over the runs of each size, FC1, beside the published values."""
    found = []
    for size in sorted({row["batch"] for row in rows}):
        here = [row for row in rows if row["batch"] == size and row["layer"] == "FC1"]
        phases = sorted({str(row["phase"]) for row in here})
        line: dict[str, Any] = {"batch": size, "runs": len(here), "steps": here[0]["steps"]}
        for name, title in (("test_accuracy", "test"), ("train_accuracy", "train"), ("stable_rank", "R_s")):
            line[title] = common.mean([row[name] for row in here])
        line["R_mp"] = common.mean([row["mp_softrank"] for row in here])
        line["R_mp published"] = PUBLISHED_SOFT_RANK.get(size)
        line["spikes a run"] = common.mean([row["spikes"] for row in here])
        line["published"] = None if size not in PUBLISHED_SPIKES else PUBLISHED_SPIKES[size] / 10
        line["alpha"] = common.mean([row["alpha"] for row in here])
        line["phase of FC1"] = ", ".join(phases)
        found.append(line)
    return found


def starts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the values before training beside the published ones."""
    found = []
    for layer, (entropy, rank) in PUBLISHED_STARTS.items():
        here = {row["seed"]: row for row in rows if row["layer"] == layer and row["epoch"] == 0}.values()
        mine = common.mean([row["entropy"] for row in here]), common.mean([row["stable_rank"] for row in here])
        for name, published, value in (("S", entropy, mine[0]), ("R_s", rank, mine[1])):
            assert value is not None
            line = {"layer": layer, "start": name, "published": published, "here": value, "draws": len(here)}
            found.append(line | {"difference": f"{100 * (value / published - 1):+.2f} %"})
    return found


def main() -> None:
    lab = common.Lab("batch_size", __doc__ or "")
    sizes, seeds = ((16, 64), SEEDS[:1]) if lab.quick else (SIZES, SEEDS)
    runs: dict[str, list[dict[str, Any]]] = {sweep: [] for sweep in SWEEPS}
    for seed in seeds:
        for sweep, found in runs.items():
            for size in sizes:
                run = lab.run(recipe_of(sweep, size, seed), label_of(sweep, size, seed))
                if run is not None:
                    found.append(run)
    write(lab, {sweep: found for sweep, found in runs.items() if found})


def write(lab: common.Lab, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Write the table of all runs, the figures and the section."""
    rows = [row for sweep, found in runs.items() for run in found for row in rows_of(run, sweep)]
    lab.csv(rows)
    text = [
        "## Batch size, MiniAlexNet on CIFAR-10 (JPEG copy)",
        "",
        "Before training:",
        "",
        common.table(starts(rows)),
    ]
    for sweep, found in runs.items():
        ends = [row for row in rows if row["sweep"] == sweep and row["epoch"]]
        recipe = found[0]["recipe"]
        lab.png(drawing.batch_sizes(ends), f"batch_size_{sweep}")
        lab.png(drawing.spectra([run for run in found if run["recipe"]["seed"] == 1], "FC1"), f"batch_size_{sweep}_esd")
        told = f"{recipe['train']} images, {recipe['epochs']} epochs, {recipe['loss'].replace('_', ' ')}, "
        told += f"learning rate {recipe['lr']}"
        text += ["", f"### {TITLES[sweep]}: {told}", "", common.table(summary(ends)), ""]
        text += [common.table(rank_correlations(ends)), "", f"![ranks and accuracies](batch_size_{sweep}.png)", ""]
        text += [f"![spectra of FC1](batch_size_{sweep}_esd.png)"]
    lab.markdown("\n".join(text))


if __name__ == "__main__":
    main()
