"""What the documents promise: files, figures, and code that runs as written after the star-import."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
from going_further import make_flows, make_transformers
from support.tables import pm, with_blocks
from tests.benchmarks import report
from weights import card
from weights.measure import FRONTIER

PREPARE = """
from diffusion_utilities import *
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
nn_model = ContextUnet(in_channels=3, n_feat=64, n_cfeat=5, height=16).to(device)
"""

CONTEXT_BY_CLASS = """
import torch
from diffusion_utilities import show_images, sample_ddpm_context

# Define the context tensor
ctx = torch.tensor([
    # hero, non-hero, food, spell, side-facing
    [1, 0, 0, 0, 0],
    [1, 0, 0, 0, 0],
    [0, 0, 0, 0, 1],
    [0, 0, 0, 0, 1],
    [0, 1, 0, 0, 0],
    [0, 1, 0, 0, 0],
    [0, 0, 1, 0, 0],
    [0, 0, 1, 0, 0],
]).float().to(device)

# Generate images with the specified context
samples, _ = sample_ddpm_context(ctx.shape[0], ctx)

# Display the generated images
show_images(samples)
"""

CONTEXT_MIXED = """
import torch
from diffusion_utilities import show_images, sample_ddpm_context

# Define the context tensor
ctx = torch.tensor([
    # hero, non-hero, food, spell, side-facing
    [1, 0, 0, 0, 0],      # human
    [1, 0, 0.6, 0, 0],
    [0, 0, 0.6, 0.4, 0],
    [1, 0, 0, 0, 1],
    [1, 1, 0, 0, 0],
    [1, 0, 0, 1, 0]
]).float().to(device)

# Generate images with the specified context
samples, _ = sample_ddpm_context(ctx.shape[0], ctx)

# Display the generated images
show_images(samples)
"""

BASIC_SAMPLING = """
# Load pre-trained model
nn_model.load_state_dict(torch.load("weights/model_trained.pth"))

# Generate 32 samples
samples, intermediate = sample_ddpm(32)
"""

CONTEXT_CONTROLLED = """
# Define context (human=1, food=0.6)
ctx = torch.tensor([[1,0,0.6,0,0]]).float()

# Generate with context
samples, _ = sample_ddpm_context(1, ctx)
"""

FAST_SAMPLING = """
# Generate quickly with DDIM (25 steps instead of 500)
samples, intermediate = sample_ddim(32, n=25)
"""


@pytest.mark.parametrize(
    ("snippet", "count", "frames"),
    [
        (CONTEXT_BY_CLASS, 8, None),
        (CONTEXT_MIXED, 6, None),
        (BASIC_SAMPLING, 32, 26),
        (CONTEXT_CONTROLLED, 1, None),
        (FAST_SAMPLING, 32, 26),
    ],
    ids=[
        "context by class",
        "mixed context",
        "basic sampling",
        "context-controlled",
        "fast sampling",
    ],
)
def test_snippet_runs_as_written(snippet, count, frames, monkeypatch):
    monkeypatch.chdir(ROOT)  # the snippets name files from the root
    names = {}
    exec(PREPARE, names)
    exec(snippet, names)
    assert names["samples"].shape == (count, 3, 16, 16)
    assert names["samples"].abs().max() < 1.5
    if frames:
        assert names["intermediate"].shape == (frames, count, 3, 16, 16)


def test_readme_snippets_run_as_written(monkeypatch):
    """The README's Python, with fewer sprites, since the numbers are not what is tested."""
    monkeypatch.chdir(ROOT / "data")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    names = {}
    exec("import os\nfrom diffusion_utilities import *", names)
    for block in blocks:
        block = block.replace("(32)", "(1)").replace("my_sprites.npy", "sprites_1788_16x16.npy")
        exec(block.replace("my_labels.npy", "sprite_labels_nc_1788_16x16.npy"), names)
    assert names["images"].shape == (1788, 3, 16, 16) and len(names["dataset"]) == 1788


def windows(make_lines: list[str]) -> list[str]:
    """The commands that make would run, as they are typed on Windows without make."""
    typed, environment = [], []
    for line in " ".join(make_lines).replace("\\ ", "").split("\n"):
        words = line.split()
        if not words or words[0] in ("touch", "rm") or "import sys" in line:
            continue
        while "=" in words[0] and words[0].isupper() | words[0].split("=")[0].isupper():
            if words[0] not in environment:
                environment.append(words[0])
                typed.append(f"set {words[0]}")
            words.pop(0)
        words = [word.replace("/", "\\") if not word.startswith("--") else word for word in words]
        typed.append(" ".join(words).replace(".venv\\bin\\", ".venv\\Scripts\\").replace("python3 ", "py -3.14 "))
    return typed


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("verb", ["lab", "test"])
def test_readmes_commands_for_windows_are_those_of_make(verb):
    """They are compared as a whole, so that neither can drift."""
    command = ["make", "--no-print-directory", "-n", "-B", verb, "PYTHON=python3", "VENV=.venv"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    expected = windows([lines])
    if verb == "test":
        expected = expected[2:]  # what `lab` has done before
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bat\n(.*?)```", readme, flags=re.DOTALL)
    assert blocks[["lab", "test"].index(verb)].strip().splitlines() == expected


def test_readme_names_only_files_that_exist():
    for page in (
        "README.md",
        "data/README.md",
        "weights/README.md",
        "docs/GLOSSARY.md",
        "docs/SPEED.md",
    ):
        text = (ROOT / page).read_text(encoding="utf-8")
        links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]
        missing = [link for link in links if not os.path.exists(ROOT / Path(page).parent / link)]  # noqa: PTH110
        assert not missing, f"{page} links to {missing}"


def test_tables_of_the_model_card_are_those_of_the_stored_runs():
    metrics = json.loads((ROOT / "weights" / "metrics.json").read_text(encoding="utf-8"))
    text = (ROOT / "weights" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- (\w+) -->", text)) == set(card.TABLES)
    assert with_blocks(text, metrics, card.TABLES) == text, "run python -m weights.card"
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (ROOT / "weights").glob("*.pth")}
    assert hashes.items() >= metrics["sha256"].items()


def test_tables_of_speed_are_those_of_the_stored_run():
    results = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    texts = [page.read_text(encoding="utf-8") for page in report.PAGES]
    assert set(re.findall(r"<!-- bench (\w+) -->", "".join(texts))) == set(report.BLOCKS)
    for page, text in zip(report.PAGES, texts, strict=True):
        assert card.with_blocks(text, results, report.BLOCKS, "bench ") == text, (
            f"{page.name}: run python -m tests.benchmarks.report"
        )


def test_lab_2_says_of_bf16_what_was_measured():
    lab = (ROOT / "L2_Training" / "L2_Training.ipynb").read_text(encoding="utf-8")
    for way, words in {"ours": "with 32 bits", "ours, bf16": "with bf16"}.items():
        error = json.loads(report.RESULTS.read_text(encoding="utf-8"))["training_digits"][way]
        assert rf"${error['mean']:.3f} \\pm {error['std']:.3f}$ {words}" in lab


def test_solvers_quotes_its_own_table_of_seconds():
    cells = json.loads((ROOT / "going_further" / "solvers.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = next(text for cell in cells if (text := "".join(cell["source"])).startswith("FSD says what you get"))
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    tables = ["".join(data["text/markdown"]) for data in outputs if "text/markdown" in data]
    rows = [line.split("|") for table in tables for line in table.splitlines() if "η = ∞" in line and "×" in line]
    gains = {row[1].split(", ")[-1].strip(): [cell.strip().removesuffix(" ×") for cell in row[4:8]] for row in rows}
    assert f"{gains['10 steps'][0]} times faster than the plain loop, in 16 bits {gains['10 steps'][1]} times" in prose
    assert f"in 16 bits {gains['10 steps'][3]} times" in prose and f"{gains['15 steps'][3]} times faster" in prose


def test_frontier_agrees_with_the_figures_measured_elsewhere_and_falls_from_one_step_on():
    evaluation = json.loads((ROOT / "weights" / "metrics.json").read_text(encoding="utf-8"))["evaluation"]
    frontier, quality = evaluation["frontier"], evaluation["quality"]
    assert frontier["DDIM"]["25"] == quality["DDIM, 25 steps"]["fsd"]
    assert frontier["DPM-Solver++"]["10"] == quality["DPM-Solver++, 10 steps"]["fsd"]
    assert frontier["DPM-Solver++, η = ∞"]["10"] == quality["DPM-Solver++, η = ∞, 10 steps"]["fsd"]
    assert frontier["DDPM"]["500"] == quality["DDPM, 500 steps"]["fsd"]
    for name, (_, counts, _) in FRONTIER.items():
        assert list(frontier[name]) == [str(n) for n in counts]
        means = [frontier[name][str(n)]["mean"] for n in counts if name != "DPM-Solver++, η = ∞" or n <= 15]
        # but with η = ∞ many steps are too many (solvers.ipynb, section 3)
        assert means == sorted(means, reverse=True)


def test_data_card_states_the_accuracy_of_the_classifier():
    classifier = json.loads((ROOT / "weights" / "metrics.json").read_text(encoding="utf-8"))["classifier"]
    data_card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"{classifier['class_accuracy']:.1%} of the classes" in data_card.replace(" %", "%")
    assert f"{classifier['kind_accuracy']:.1%} of the kinds" in data_card.replace(" %", "%")


def figures_of(folder):
    """Table → row → column → mean and standard deviation, of a folder of going_further/."""
    figures = json.loads((ROOT / "going_further" / folder / "figures.json").read_text(encoding="utf-8"))
    if folder == "transformer_networks":
        return make_transformers.tables(figures)
    return {table: make_flows.rows_of(figures, table) for table in figures} if folder == "flow_networks" else figures


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("editing", "editing_networks"),
        ("guidance", "editing_networks"),
        ("flows", "flow_networks"),
        ("transformers", "transformer_networks"),
    ],
)
def test_notebooks_quote_their_stored_figures(name, folder):
    """Each "a ± b" in their prose is a stored figure."""
    cells = json.loads((ROOT / "going_further" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    figures = figures_of(folder)
    known = {
        pm(figure, digits)
        for rows in figures.values()
        for row in rows.values()
        for figure in row.values()
        if isinstance(figure, dict)
        for digits in (0, 1, 2)
    }
    prose = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    quoted = re.findall(r"[\d.]*\d ± [\d.]*\d", prose)
    assert len(quoted) >= 3 and set(quoted) <= known


def spreads(values):
    """All figures with a mean and a standard deviation in nested dicts and lists."""
    if isinstance(values, dict) and values.keys() == {"mean", "std"}:
        yield values
    elif isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from spreads(value)


@pytest.mark.parametrize(
    ("page", "count"),
    [("L4_FastSampling/L4_FastSampling.ipynb", 8), ("going_further/solvers.ipynb", 7), ("weights/README.md", 2)],
)
def test_labs_and_the_card_quote_the_stored_runs(page, count):
    """Each "a ± b" in their prose, that of the card's tables aside, is a stored figure."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = " ".join("".join(cell["source"]) for cell in cells)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    metrics = json.loads((ROOT / "weights" / "metrics.json").read_text(encoding="utf-8"))
    known = {pm(figure, digits) for figure in spreads(metrics) for digits in (0, 1, 2)}
    quoted = re.findall(r"[\d.]*\d ± [\d.]*\d", text)
    assert len(quoted) >= count and set(quoted) <= known, set(quoted) - known


def test_runs_were_made_from_the_shipped_sprites():
    shipped = hashlib.sha256((ROOT / "data" / "sprites_1788_16x16.npy").read_bytes()).hexdigest()
    metrics = json.loads((ROOT / "weights" / "metrics.json").read_text(encoding="utf-8"))
    runs = [run for name, run in metrics.items() if name not in ("sha256", "longer")] + metrics["longer"]
    made_on = [run["made_on"] for run in runs]
    assert {run["data_sha256"] for run in made_on} == {shipped}
