"""Write the tables of README.md and docs/SPEED.md from results.json, so that none is typed.

python -m tests.benchmarks.report
"""

from __future__ import annotations

from pathlib import Path

from support.files import read_json
from support.tables import table, with_blocks, write_text

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results.json"
PAGES = [ROOT / "README.md", ROOT / "docs" / "SPEED.md"]

TITLES = {
    "passes": "one pass of the network, 32 sprites",
    "ddpm": "32 sprites by DDPM, 500 steps",
    "few_steps": "32 sprites by DPM-Solver++, 10 steps, η = ∞",
    "training": "20 training steps of 64 sprites",
}


def seconds(row: dict) -> str:
    """The median, and how far apart the fastest and the slowest round were."""
    unit, factor = ("ms", 1e3) if row["median"] < 1 else ("s", 1)
    median, least, most = (f"{factor * row[key]:.3g}" for key in ("median", "min", "max"))
    return f"{median} {unit} ({least} to {most})"


def machine(results: dict) -> str:
    m = results["machine"]
    device = f"{m['device']}, {m['cores']} cores, {m['memory_gb']:.0f} GB"
    return f"Measured on {device}, Python {m['python']}, PyTorch {m['torch']}: medians, in brackets fastest to slowest."


def speed(results: dict) -> str:
    """How many times the plain loop's speed each way has."""
    ways = [way for way in results["passes"] if way != "plain"]

    def line(title: str, plain: dict, rows: dict, digits: int) -> list[str]:
        gains = [f"{plain['median'] / rows[way]['median']:.{digits}f} ×" if way in rows else "" for way in ways]
        return [title, seconds(plain), *gains]

    lines = [line(TITLES[name], results[name]["plain"], results[name], 2) for name in ("passes", "ddpm", "training")]
    lines.append(
        line(
            f"{TITLES['few_steps']}, against DDPM",
            results["ddpm"]["plain"],
            results["few_steps"],
            0,
        )
    )
    return table(["", "plain loop", *ways], lines)


def in_short(results: dict) -> str:
    """What a reader wants to know first: how long 32 sprites take."""
    slow, fast = results["ddpm"], results["few_steps"]
    gain = slow["plain"]["median"] / fast["ours"]["median"]
    return table(
        ["32 sprites", "time"],
        [
            ["500 steps of DDPM, written out as a plain loop", seconds(slow["plain"])],
            ["500 steps by the module", seconds(slow["ours"])],
            [f"10 steps that draw as well ({gain:.0f} times as fast)", seconds(fast["ours"])],
        ],
    )


def ways(results: dict) -> str:
    """Every time of every way."""
    lines = [[title, way, seconds(row)] for name, title in TITLES.items() for way, row in results[name].items()]
    return table(["", "way", "time"], lines)


def exactness(results: dict) -> str:
    """What each way changes: the predicted noise, whose size is about 1, and the quality of the sprites."""
    lines = []
    for way, row in results["passes"].items():
        sampler = "DDPM, 500 steps" if way == "plain" else "DPM-Solver++, 10 steps, η = ∞"
        lines.append(
            [
                way,
                f"{row['largest_difference']:.0e}",
                sampler,
                f"{results['quality'][way]['fsd']:.1f}",
            ]
        )
    return table(["way", "largest change in 32 predictions", "sampler", "FSD of 320 sprites"], lines)


def digits(results: dict) -> str:
    """What half the digits change in training."""
    names = {"ours": "32 bits", "ours, bf16": "bf16"}
    rows = results["training_digits"]
    lines = [[name, f"{rows[way]['mean']:.4f} ± {rows[way]['std']:.4f}"] for way, name in names.items()]
    return table(["200 training steps in", "error of the predicted noise, fresh sprites"], lines)


def growth(results: dict) -> str:
    """Time and memory against the number of sprites."""
    lines = []
    for n, row in results["growth_with_n_sample"].items():
        each = f"{1e3 * row['median'] / 2 / int(n):.2f} ms"
        lines.append([f"{int(n):,}", seconds(row), each, f"{row['peak_mb']:,}", f"{row['peak_mb_uncut']:,}"])
    return table(
        [
            "sprites",
            "2 steps",
            "a step and sprite",
            "MB at most",
            "MB at most if not cut into batches",
        ],
        lines,
    )


def memory_end(results: dict) -> str:
    """Where the memory would end if requests were not cut into batches."""
    (n1, row1), (n2, row2) = list(results["growth_with_n_sample"].items())[-2:]
    each = (row2["peak_mb_uncut"] - row1["peak_mb_uncut"]) / (int(n2) - int(n1))
    gb = results["machine"]["memory_gb"]
    return (
        f"In one batch, each further sprite would take {each:.2f} MB, and the {gb:.0f} GB of this machine would end at "
        f"about {round(1024 * gb / each, -3):,.0f} sprites of 16×16."
    )


def steps(results: dict) -> str:
    rows = results["growth_with_steps"]
    lines = [[n, seconds(row), f"{1e3 * row['median'] / int(n):.1f} ms"] for n, row in rows.items()]
    return table(["steps", "32 sprites", "a step"], lines)


def heights(results: dict) -> str:
    rows = results["growth_with_height"]
    lines = [[f"{h}×{h}", seconds(row), f"{row['peak_mb']:,}", f"{row['peak_mb_uncut']:,}"] for h, row in rows.items()]
    return table(["size", "32 sprites, 2 steps", "MB at most", "MB at most if not cut into batches"], lines)


def importing(results: dict) -> str:
    row = results["importing"]
    spread = f"{row['min']:.2f} to {row['max']:.2f}"
    return f"`import diffusion_utilities` adds {row['median']:.2f} s ({spread}) to importing torch."


BLOCKS = {
    f.__name__: f
    for f in (
        machine,
        in_short,
        speed,
        ways,
        exactness,
        digits,
        growth,
        memory_end,
        steps,
        heights,
        importing,
    )
}


def main() -> None:
    results = read_json(RESULTS)
    for page in PAGES:
        write_text(page, with_blocks(page.read_text(encoding="utf-8"), results, BLOCKS, "bench "))


if __name__ == "__main__":
    main()
