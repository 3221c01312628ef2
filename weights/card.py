"""Write the tables of ``README.md`` from ``metrics.json``: ``python -m weights.card``."""

from __future__ import annotations

from pathlib import Path

from diffusion_utilities import CLASS_NAMES
from support.files import read_json
from support.tables import pm, table, with_blocks, write_text
from weights.make_weights import loss_on_fresh
from weights.measure import SHORT

WEIGHTS_DIR = Path(__file__).resolve().parent

TEN_STEPS, IN_TEN_STEPS = "DPM-Solver++, η = ∞, 10 steps", "DPM-Solver++, η = ∞, in 10 steps"
PEER_WORDS = {
    "ours": "ours",
    "missing_root": "noise without its square root",
    "random_shortcut": "random shortcut",
    "public_recipe": "the public recipe, both mistakes",
    "diffusers": "diffusers' UNet2DModel",
}


def percent(figure: dict) -> str:
    return f"{100 * figure['mean']:.1f} ± {100 * figure['std']:.1f}"


def over(one: dict, other: dict, figure: str) -> float:
    return one[figure]["mean"] / other[figure]["mean"]


def files(metrics: dict) -> str:
    rows = [[f"`{name}`", f"`{digest}`"] for name, digest in metrics["sha256"].items()]
    data = metrics["unconditional"]["made_on"]["data_sha256"]
    rows.append(["trained on `data/sprites_1788_16x16.npy`", f"`{data}`"])
    return table(["file", "SHA-256"], rows)


def runs(metrics: dict) -> str:
    rows = []
    for name in ("unconditional", "context"):
        run = metrics[name]
        loss = run["loss_per_epoch"]
        some = " → ".join(f"{loss[i]:.4f}" for i in (0, 4, 8, 16, -1))
        shown, minutes = f"{run['images_shown']:,}", round(run["seconds"] / 60)
        rows.append([name, len(loss), shown, minutes, some])
    error = "error in epochs 0, 4, 8, 16 and the last"
    return table(["run", "epochs", "images shown", "minutes", error], rows)


def longer(metrics: dict) -> str:
    """The legs of further training, one after the other: quality, and whether sprites are learned by heart."""
    images, rows, legs = 0, [], {"the first 32 epochs": metrics["unconditional"]}
    legs |= {f"leg {k}, {leg['recipe']['epochs']} epochs": leg for k, leg in enumerate(metrics["longer"], start=1)}
    shipped = min(legs, key=lambda words: loss_on_fresh(legs[words]))
    for words, leg in legs.items():
        images += leg["images_shown"]
        errors = [f"{leg['error'][of]['50']:.3f}" for of in ("training", "fresh")]
        fsd, nearest = (
            [pm(leg[what][name], digits) for name in SHORT] for what, digits in (("fsd", 1), ("nearest", 3))
        )
        after = f"{words}: `model_trained.pth`" if words == shipped else words
        rows.append([after, f"{images:,}", f"{loss_on_fresh(leg):.4f}", *errors, *fsd, *nearest])
    if before_rounding := metrics["longer"][-1].get("fsd_in_32_bits"):
        fsd = [pm(before_rounding[name], 1) for name in SHORT]
        rows.append(["the last one in 32 bits", f"{images:,}", "", "", "", *fsd, "", ""])
    head = ["after", "images in all", "loss, fresh sprites", "error at t = 50, training sprites", "fresh sprites"]
    return table([*head, *(f"{what}, {name}" for what in ("FSD", "nearest") for name in SHORT)], rows)


def quality(metrics: dict) -> str:
    rows = [
        [name, pm(q["fsd"], 1), pm(q["precision"]), pm(q["recall"]), pm(q["background_error"])]
        for name, q in metrics["evaluation"]["quality"].items()
    ]
    return table(["1,788 pictures", "FSD", "precision", "recall", "background error"], rows)


def mark(value: float, sign: str, bound: float) -> str:
    """Whether a goal is reached; sign is ≤ or ≥."""
    return "reached" if (value <= bound if sign == "≤" else value >= bound) else "missed"


def best_in_50_passes(evaluation: dict) -> float:
    """The least FSD of the unconditional network, of the ways that were measured and ask networks at most 50 times."""
    found = []
    for start in ("", "_from_mean"):
        for of in evaluation.get(f"frontier{start}", {}).values():
            found += [figure["mean"] for n, figure in of.items() if int(n) <= 50]
        for swept in evaluation.get(f"autoguidance_of_model_trained{start}", {}).values():
            guided = [ways["guided"] for ways in swept["quality"].values()]
            found += [q["fsd"]["mean"] for q in guided if q["passes"] <= 50]
    return min(found)


def goals(metrics: dict) -> str:
    """What was aimed at, and what came of it."""
    evaluation = metrics["evaluation"]
    q = evaluation["quality"]
    ddpm, train = q["DDPM, 500 steps"], q["training sprites"]
    known = {name: peer for name, peer in metrics["peers"].items() if name in PEER_WORDS}
    nearest = evaluation["distance_to_nearest_training_sprite"]
    near = over(nearest["DDPM, 500 steps"], nearest["fresh sprites"], "colour, 50%")
    least = {w: 100 * shares["least"] for w, shares in evaluation["context_accuracy"].items()}
    best = max(least, key=least.get)
    least_in_ten = 100 * evaluation["context_accuracy_in_ten_steps"]["w = 1"]["least"]
    own, fresh = "over the training sprites' own", "over that of fresh sprites"

    rows = [
        ["FSD, the best of any way of at most 50 passes", best_in_50_passes(evaluation), "≤", 4.5],
        ["FSD of DDPM, 500 steps", ddpm["fsd"]["mean"], "≤", 8],
        [f"FSD of {TEN_STEPS}", q[TEN_STEPS]["fsd"]["mean"], "≤", 8],
        ["FSD of DDIM, 25 steps", q["DDIM, 25 steps"]["fsd"]["mean"], "≤", 22],
        ["FSD of DDPM, over the floor", over(ddpm, q["fresh sprites"], "fsd"), "≤", 3],
        ["FSD of DDIM in 25 steps, over DDPM's", over(q["DDIM, 25 steps"], ddpm, "fsd"), "≤", 1.25],
        [f"FSD of {IN_TEN_STEPS}, over DDPM's", over(q[TEN_STEPS], ddpm, "fsd"), "≤", 1.25],
        [f"precision of DDPM, {own}", over(ddpm, train, "precision"), "≥", 0.9],
        [f"recall of DDPM, {own}", over(ddpm, train, "recall"), "≥", 0.8],
        ["background error of DDPM", ddpm["background_error"]["mean"], "≤", 2],
        [f"median distance to the nearest training sprite, {fresh}", near, "≥", 1],
        ["accuracy of the least accurate class at w = 1, %", least["w = 1"], "≥", 97],
        [f"the same by {TEN_STEPS}", least_in_ten, "≥", 97],
        [f"accuracy of the least accurate class with guidance, {best}, %", least[best], "≥", 99],
    ]
    guided = evaluation["autoguidance_of_model_trained_from_mean"]["DDIM, 25 steps"]["quality"]["DDIM, 25 steps"]
    rows[4:4] = [
        ["the same from the mean sprite", evaluation["frontier_from_mean"]["DDIM"]["25"]["mean"], "≤", 22],
        ["the same from the mean sprite, with autoguidance", guided["guided"]["fsd"]["mean"], "≤", 8],
    ]
    for name, bound in (("public_recipe", 3), ("diffusers", 1)):
        if name in known:
            for sampler in SHORT:
                theirs, ours = (known[peer]["quality"][sampler] for peer in (name, "ours"))
                words = f"FSD of {PEER_WORDS[name]}, over ours after as many pictures, {sampler}"
                rows.append([words, over(theirs, ours, "fsd"), "≥", bound])
    shown = [[words, f"{v:.2f}", f"{sign} {bound}", mark(v, sign, bound)] for words, v, sign, bound in rows]
    return table(["goal", "measured", "aim", ""], shown)


def copying(metrics: dict) -> str:
    found = metrics["evaluation"]["distance_to_nearest_training_sprite"]
    head = ["1,788 pictures", *next(iter(found.values()))]
    rows = [[name, *(pm(d, 3) for d in levels.values())] for name, levels in found.items()]
    return table(head, rows)


def context(metrics: dict) -> str:
    evaluation, rows = metrics["evaluation"], []
    for sampler, suffix in (("DDIM, 25 steps", ""), (TEN_STEPS, "_in_ten_steps")):
        for w, shares in evaluation["context_accuracy" + suffix].items():
            q = evaluation["context_quality" + suffix][w]
            rows.append([f"{sampler}, {w}", *(percent(shares[name]) for name in CLASS_NAMES)])
            rows[-1] += [pm(q["fsd"], 1), pm(q["precision"]), pm(q["recall"])]
    shares = [f"{name}, %" for name in CLASS_NAMES]
    return table(["sampler and guidance", *shares, "FSD", "precision", "recall"], rows)


def peers(metrics: dict) -> str:
    rows = []
    for name, words in PEER_WORDS.items():
        if (peer := metrics["peers"].get(name)) is None:
            continue
        ten, ddim = (peer["quality"][sampler] for sampler in SHORT)
        row = [words, f"{peer['loss_per_epoch'][-1]:.3f}", pm(ddim["fsd"], 0), pm(ten["fsd"], 0)]
        row += [pm(ten["precision"]), pm(ten["recall"]), pm(ten["background_error"], 1)]
        rows.append([*row, round(peer["seconds"] / 60, 1)])
    of_ten = ("precision", "recall", "background error")
    head = ["recipe", "error", "FSD, DDIM-25", "FSD, ten steps", *of_ten, "minutes of training"]
    return table(head, rows)


def variants(metrics: dict) -> str:
    """The kept epochs and the kinds of batch-norm statistics, all by DDIM in 25 steps."""
    evaluation = metrics["evaluation"]
    by_name = {f"`{name}.pth`": fsd for name, fsd in evaluation["fsd_by_epoch"].items()}
    for name, fsd in evaluation["fsd_by_batch_norm"].items():
        by_name[f"`model_trained.pth`, {name}"] = fsd
    rows = [[name, pm(fsd, 1)] for name, fsd in by_name.items()]
    return table(["network", "FSD, DDIM in 25 steps"], rows)


def frontier(metrics: dict) -> str:
    figures = metrics["evaluation"]["frontier"]
    counts = sorted({int(n) for by_steps in figures.values() for n in by_steps})

    def cell(by_steps: dict, n: int) -> str:
        return pm(by_steps[str(n)], 1) if str(n) in by_steps else ""

    rows = [[n, *(cell(by_steps, n) for by_steps in figures.values())] for n in counts]
    return table(["steps", *figures], rows)


def where(metrics: dict) -> str:
    """The distance at the end, by the level that fresh sprites are noised to and drawn on from."""
    figures = metrics["evaluation"]["fsd_by_start_level"]
    levels = list(next(iter(figures.values())))
    return table(["from level", *levels], [[name, *(pm(of[t], 1) for t in levels)] for name, of in figures.items()])


def start(metrics: dict) -> str:
    """FSD from pure noise, and from pictures that are noised to level T."""
    evaluation, rows = metrics["evaluation"], []
    for sampler, by_steps in evaluation["frontier_from_mean"].items():
        for n, fsd in by_steps.items():
            from_noise = evaluation["frontier"][sampler].get(n)
            starts = (from_noise, fsd, evaluation["fsd_from_normal"].get(f"{sampler}, {n} steps"))
            rows.append([f"{sampler}, {n} steps", *("" if figure is None else pm(figure, 1) for figure in starts)])
    return table(["FSD", "from pure noise", "from the mean sprite", "from a normal distribution"], rows)


def clipping(metrics: dict) -> str:
    """The samplers of ``SHORT`` with and without their guesses clipped."""
    evaluation = metrics["evaluation"]
    rows = [
        [name, pm(evaluation["quality"][name]["fsd"], 1), pm(clipped, 1)]
        for name, clipped in evaluation["fsd_clipped"].items()
    ]
    return table(["FSD", "as it is", "x̂_0 clipped to [-1, 1]"], rows)


def autoguided(metrics: dict) -> dict[str, dict]:
    """What was measured of autoguidance, by network and start in words."""
    words = {"model_trained": "without context", "context_model_trained": "with context"}
    found = {}
    for network, about in words.items():
        for suffix, start in (("", "from pure noise"), ("_from_mean", "from the mean")):
            if of := metrics["evaluation"].get(f"autoguidance_of_{network}{suffix}"):
                found[f"{about}, {start}"] = of
    return found


def guide_in_words(worse: str, w: float, levels: list[int]) -> str:
    between = "" if levels == [0, 500] else f", levels {levels[0]} to {levels[1]}"
    return f"`{worse}`, w = {w:g}{between}"


def autoguidance(metrics: dict) -> str:
    """The best setting of each sweep beside no guidance."""
    rows = []
    for about, swept in autoguided(metrics).items():
        for of in swept.values():
            for sampler, ways in of["quality"].items():
                for way, q in ways.items():
                    guide = guide_in_words(*of["best"]) if way == "guided" else ""
                    row = [f"{about}: {sampler}", guide, q["passes"], pm(q["fsd"], 1)]
                    row += [pm(q["precision"]), pm(q["recall"]), pm(q["nearest"], 3)]
                    rows.append([*row, f"{100 * q['accuracy']['least']:.1f}" if "accuracy" in q else ""])
    of_each = ("passes", "FSD", "precision", "recall", "nearest", "least class, %")
    return table(["network, start: sampler", "guided by", *of_each], rows)


def sweeps(metrics: dict) -> str:
    """FSD of every setting of autoguidance; of one seed and every third sprite, so larger than elsewhere."""
    columns = {
        f"{about}: {sampler}": of["sweep"]
        for about, swept in autoguided(metrics).items()
        for sampler, of in swept.items()
    }
    settings = [guide_in_words(*setting) for *setting, _ in next(iter(columns.values()))]
    rows = [[words, *(f"{sweep[i][-1]:.1f}" for sweep in columns.values())] for i, words in enumerate(settings)]
    return table(["guided by", *columns], rows)


def comparison(metrics: dict) -> str:
    """A link to the table of ``weights.compare``, where it has been made."""
    if not (WEIGHTS_DIR / "COMPARISON.md").exists():
        return ""
    return "Short runs that differ from the shipped recipe in one thing each are in [COMPARISON.md](COMPARISON.md)."


MADE = (files, runs, longer, quality, goals, copying, context, peers, variants, frontier, where, start, clipping)
MADE += (autoguidance, sweeps, comparison)
TABLES = {f.__name__: f for f in MADE}


def main() -> None:
    """Write the tables.

    Raises:
        ValueError: ``metrics.json`` is damaged, or lacks what a table shows.
    """
    metrics = read_json(WEIGHTS_DIR / "metrics.json")
    card = WEIGHTS_DIR / "README.md"
    write_text(card, with_blocks(card.read_text(encoding="utf-8"), metrics, TABLES))


if __name__ == "__main__":
    main()
