"""What trains and measures the networks of flows.ipynb, on a few small sprites."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from diffusion_utilities import ContextUnet, sample_ddim
from going_further import make_flows
from support.quality import spread
from support.training import Recipe

IMAGES = torch.rand(32, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
IMAGES[:, :, 0, 0] = 1  # one pixel is ground
LABELS = torch.eye(5)[torch.arange(32) % 5]
STORED = json.loads((make_flows.FOLDER / "figures.json").read_text(encoding="utf-8"))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A judge of 32 pictures, networks of width 8 and runs of one epoch, in a folder of their own."""

    class SmallRuler:
        def __init__(self, images):
            self.fresh, self.classifier = [images.flip(0)] * 3, None

    monkeypatch.setattr(make_flows, "FOLDER", tmp_path)
    monkeypatch.setattr(make_flows, "WIDTH", 8)
    monkeypatch.setattr(make_flows, "Ruler", SmallRuler)
    monkeypatch.setattr(make_flows, "sprite_tensors", lambda *_: (IMAGES, LABELS))
    monkeypatch.setattr(make_flows, "frechet_sprite_distance", lambda x, fresh, _: (x - fresh).abs().mean().item())
    monkeypatch.setattr(make_flows, "bits", lambda *_: 4.0)
    for length in ("SHORT", "LONG", "FEW", "VIEWS"):
        monkeypatch.setattr(make_flows, length, 1)
    few = {name: make_flows.WAYS[name] for name in ("noise", "noise_cut", "flow", "flow_middle", "bound")}
    monkeypatch.setattr(make_flows, "WAYS", few)
    monkeypatch.setattr(make_flows, "GROUNDS", ("noise", "flow"))
    monkeypatch.setattr(make_flows, "PASSES", (1, 3))
    ddim, dpm = make_flows.sample_ddim_context, make_flows.sample_dpm_context
    samplers = {
        "DDIM-25": (ddim, {"n": 3}),
        "DDIM-10": (ddim, {"n": 2}),
        "η=∞-10": (dpm, {"n": 2, "eta": float("inf")}),
    }
    monkeypatch.setattr(make_flows, "SAMPLERS", samplers)
    return tmp_path


def test_all_tables_are_made_and_not_made_again(small, capsys):
    make_flows.main(["--seeds", "0"])
    figures = json.loads((small / "figures.json").read_text())
    assert list(figures) == list(make_flows.TABLES)
    assert figures["answers"].keys() == make_flows.WAYS.keys()
    assert figures["grounds"].keys() == set(make_flows.GROUNDS)
    assert {"bits"} <= figures["answers"]["bound"]["0"].keys() and "bits" not in figures["answers"]["flow"]["0"]
    # all that is left: the networks that are stored, and no checkpoint
    networks = {"noise.pth", "flow.pth", "reflow.pth"}
    assert names_in(small) == {"FIGURES.md", "figures.json"} | networks
    page = (small / "FIGURES.md").read_text(encoding="utf-8")
    assert all(way.words in page for way in make_flows.WAYS.values()) and "flow, Heun, 3" in page
    assert "\n| noise | " in page.split("## Bends")[1]  # a network, which has not learned by the way of that name
    capsys.readouterr()
    make_flows.main(["--seeds", "0"])
    assert not capsys.readouterr().out  # nothing was made


def test_each_seed_is_measured_on_its_own_networks(small, monkeypatch):
    """Another seed's stand beside those of seed 0, which the notebook draws with, and are the ones its tables load."""
    monkeypatch.setattr(make_flows, "bend", lambda model, noise, schedule: model.model.out[3].bias.sum().item())
    make_flows.main(["longer", "bends", "--seeds", "0", "1"])
    networks = {f"{name}{seed}.pth" for name in ("noise", "flow", "reflow") for seed in ("", "_1")}
    assert names_in(small) == {"FIGURES.md", "figures.json"} | networks
    bends = json.loads((small / "figures.json").read_text())["bends"]
    for name, of_seeds in bends.items():
        for seed in (0, 1):
            bias = torch.load(make_flows.path_of(name, seed), weights_only=True)["out.3.bias"]
            assert of_seeds[str(seed)]["bend"] == pytest.approx(bias.float().sum().item(), abs=1e-4)
        assert of_seeds["0"] != of_seeds["1"]


def test_networks_of_other_seeds_do_not_come_with_the_course(small):
    with pytest.raises(FileNotFoundError, match=r"flow_2\.pth: only the networks of seed 0 .*longer --seeds 2"):
        make_flows.load("flow", seed=2)


def names_in(folder):
    """All files of a folder but the locks."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_run_that_was_stopped_goes_on(small, monkeypatch):
    way, recipe = make_flows.WAYS["flow"], Recipe(epochs=2, batch_size=32)
    whole, _ = make_flows.train("whole", way, IMAGES, LABELS, recipe)
    save = make_flows.Run.save

    def stop(run):
        save(run)
        raise KeyboardInterrupt

    monkeypatch.setattr(make_flows.Run, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        make_flows.train("stopped", way, IMAGES, LABELS, recipe)
    monkeypatch.setattr(make_flows.Run, "save", save)
    stopped, _ = make_flows.train("stopped", way, IMAGES, LABELS, recipe)
    for a, b in zip(whole.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", make_flows.WAYS)
def test_a_way_trains_what_it_says(name, monkeypatch):
    """Its levels, its weights and its schedule reach the run."""
    monkeypatch.setattr(make_flows, "WIDTH", 8)
    way = make_flows.WAYS[name]
    model = make_flows.build(way)
    ways = make_flows.ways_of_run(way, model)
    assert torch.equal(ways["schedule"].ab_t, make_flows.SCHEDULES[way.schedule](500).ab_t)
    levels = ways["levels"](4000, 500, torch.Generator().manual_seed(0))
    assert ((levels < 50).float().mean() < 0.05) == (way.levels == "middle")  # else a tenth
    x, noise, t = IMAGES[:4], torch.randn(4, 3, 16, 16), torch.tensor([1, 100, 300, 499])
    errors = ways["errors"](model.eval(), x, t, None, x, noise, model.schedule)
    plain = (model.answer(x, t / 500) - model.target(x, noise, t)).square().mean(dim=(1, 2, 3))
    weights = make_flows.loss_weights(way.weight, model)[t]
    torch.testing.assert_close(errors, weights * plain)


def test_half_of_the_grounds_are_black(small, monkeypatch):
    """What is white becomes black in a second copy of each sprite."""
    shown = {}

    def note(name, way, images, labels, recipe):
        shown[name] = images, labels
        return make_flows.build(way).eval(), {"images_shown": 1}

    monkeypatch.setattr(make_flows, "train", note)
    make_flows.main(["grounds", "--seeds", "0"])
    images, labels = shown["grounds_flow"]
    assert images.shape == (64, 3, 16, 16) and torch.equal(labels[:32], labels[32:])
    assert (images[:32, :, 0, 0] == 1).all() and (images[32:, :, 0, 0] == -1).all()
    assert torch.equal(images[:32, :, 5, 5], images[32:, :, 5, 5])


def test_levels_even_in_time():
    pairs = make_flows.even_in_time(10, make_flows.linear_schedule())
    time = make_flows.time_of_flow(make_flows.linear_schedule().ab_t.double())
    steps = torch.tensor([time[t] - time[t_next] for t, t_next in pairs])
    assert pairs[0][0] == 500 and pairs[-1][1] == 0 and (steps - time[500] / 10).abs().max() < 0.01
    assert make_flows.even_in_time(10, make_flows.SCHEDULES["straight"](500)) == make_flows.step_pairs(10)


def test_two_programs_lose_nothing_of_each_other(small):
    def write(program):
        book = make_flows.Book()
        for row in range(20):
            book.put("steps", f"{program}, {row}", 0, {"FSD": 1.0})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("one", "other")))
    assert len(json.loads((small / "figures.json").read_text())["steps"]) == 40


def test_figures_of_seeds_are_brought_together():
    figures = {"answers": {"v": {"0": {"FSD": 10.0, "images": 5}, "1": {"FSD": 14.0, "images": 5}}}}
    assert make_flows.rows_of(figures, "answers") == {"v": {"FSD": spread([10.0, 14.0])}}
    assert make_flows.rows_of(figures, "grounds") == {}


def test_words_that_are_not_known(capsys):
    with pytest.raises(SystemExit):
        make_flows.main(["answer"])
    assert (
        "expected tables among answers, longer, grounds, steps, placing, bends, got answer" in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        make_flows.main(["--seeds", "3"])
    assert "expected seeds out of 0, 1 and 2, got [3]" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- what is stored


def test_the_page_shows_the_stored_figures():
    assert (make_flows.FOLDER / "FIGURES.md").read_text(encoding="utf-8") == make_flows.page(STORED)


@pytest.mark.parametrize("name", ["noise", "flow", "reflow"])
def test_stored_networks_draw_and_are_small(name):
    model = make_flows.load(name)
    assert not model.training and isinstance(model.model, ContextUnet)
    samples, frames = sample_ddim(2, 3, model=model, schedule=model.schedule, seed=0, progress=False)
    assert samples.isfinite().all() and frames.shape == (4, 2, 3, 16, 16)
    assert (make_flows.FOLDER / f"{name}.pth").stat().st_size < 1_000_000


def test_the_stored_answers_are_of_three_seeds_and_equal_images():
    runs = [run for table in ("answers", "grounds") for seeds in STORED[table].values() for run in seeds.values()]
    tables = ("answers", "grounds", "steps", "placing", "bends")
    assert all(len(seeds) == 3 for table in tables for seeds in STORED[table].values())
    assert len({run["images"] for run in runs if "bits" in run or "seconds" in run}) == 1
