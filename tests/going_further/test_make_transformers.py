"""What trains and measures the transformers."""

import json
import math
from dataclasses import replace

import pytest
import torch

from going_further import make_transformers
from going_further.dit import DiT, load_dit
from support.quality import SEEDS
from support.training import Recipe

IMAGES = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
LABELS = torch.eye(5)[torch.arange(64) % 5]
TIMED = {
    kind: {"ms a step": ms, "ms a pass": ms / 100}
    for kind, ms in {
        "unet": 150.0, "patch_1": 400.0, "patch_2": 100.0, "patch_4": 30.0, "patch_8": 20.0,
        "width_32": 50.0, "width_96": 200.0, "width_128": 300.0,
    }.items()
}  # fmt: skip


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Networks, recipes and measuring of a moment, in a folder of the test's own."""
    monkeypatch.setattr(make_transformers, "FOLDER", tmp_path)
    monkeypatch.setattr(make_transformers, "FIGURES", tmp_path / "figures.json")
    monkeypatch.setattr(make_transformers, "RECIPE", Recipe(epochs=2, views=1, warmup_steps=1))
    monkeypatch.setattr(make_transformers, "NETWORK", replace(make_transformers.NETWORK, epochs=1, views=1))
    networks = {name: sizes and replace(sizes, dim=32, depth=1) for name, sizes in make_transformers.NETWORKS.items()}
    monkeypatch.setattr(make_transformers, "NETWORKS", networks)
    monkeypatch.setattr(make_transformers, "ContextUnet", lambda channels, _, *rest: UNET(channels, 8, *rest))
    asked = []

    def fsd_of(model, seed, bf16, context=None):
        asked.append((seed, None if context is None else context.shape))
        return {name: 10.0 + seed for name in make_transformers.SHORT}

    monkeypatch.setattr(make_transformers, "fsd_of", fsd_of)
    monkeypatch.setattr(make_transformers, "held_out_losses", lambda model: {"all": 0.1})
    return asked


UNET = make_transformers.ContextUnet


@pytest.mark.parametrize("name", ["unet_1", "images_2", "seconds_0", "v_1", "width_32", "patch_8"])
def test_a_run_leaves_figures_and_no_files(tmp_path, small, name):
    run = make_transformers.make(name, {"timed": TIMED}, IMAGES, LABELS, False)
    assert run["losses"]["all"] == 0.1 and run["trained"]["images_shown"] == 64 * run["trained"]["steps"]
    assert run["trained"]["recipe"]["seed"] == (int(name[-1]) if name[0] in "uisv" else 0)
    assert small == ([] if name.startswith("width") else [(run["trained"]["recipe"]["seed"], None)])
    assert not list(tmp_path.iterdir())


def test_the_network_to_draw_with_is_kept_and_knows_classes(tmp_path, small):
    run = make_transformers.make("network", {}, IMAGES, LABELS, False)
    assert [path.name for path in tmp_path.iterdir()] == ["network.pth"]
    network = load_dit(tmp_path / "network.pth", "cpu")
    assert (network.in_channels, network.n_cfeat, network.height) == (3, 5, 16)
    assert small == [(seed, LABELS.shape) for seed in SEEDS] and len(run["fsd"]) == len(SEEDS)


def test_as_many_seconds_as_the_u_net(small):
    recipe = make_transformers.recipe_of("seconds_1", {"timed": TIMED}, True)
    assert make_transformers.recipe_of("v_1", {"timed": TIMED}, True) == recipe
    assert (recipe.epochs, recipe.seed, recipe.bf16) == (3, 1, True)  # 2 epochs at 150 ms a step are 3 at 100
    assert make_transformers.recipe_of("images_1", {"timed": TIMED}, True) == replace(recipe, epochs=2)
    assert make_transformers.recipe_of("unet_1", {"timed": TIMED}, True) == replace(recipe, epochs=2)


def test_some_answer_with_v(small, monkeypatch):
    asked = []
    monkeypatch.setattr(make_transformers, "held_out_losses", lambda model: asked.append(type(model)) or {"all": 0.1})
    for name in ("network", "v_0", "unet_0", "seconds_0", "patch_8"):
        make_transformers.make(name, {"timed": TIMED}, IMAGES, LABELS, False)
    assert [kind is make_transformers.PredictsV for kind in asked] == 2 * [True] + 3 * [False]


def test_the_two_that_are_compared_are_of_one_size():
    unet, transformer = (
        make_transformers.parameters(make_transformers.NETWORKS[f"{kind}_0"]) for kind in ("unet", "images")
    )
    assert unet == 372_899 and transformer == pytest.approx(unet, rel=0.05)


def test_networks_are_timed_in_turns_and_leave_nothing(tmp_path, small, monkeypatch):
    monkeypatch.setattr(make_transformers, "PATCHES", (2, 4))
    monkeypatch.setattr(make_transformers, "WIDTHS", (32, 64))
    figures = make_transformers.timed(IMAGES[:16], LABELS[:16], False, rounds=1)
    assert list(figures) == ["unet", "patch_2", "patch_4", "width_32"]
    assert all(0 < value < 60_000 for times in figures.values() for value in times.values())
    assert not list(tmp_path.iterdir())


def test_muon_takes_the_matrices_of_the_blocks():
    sizes = make_transformers.Transformer(dim=32, depth=2)
    net, optimizer = make_transformers.build(sizes)
    by_muon, others = ({id(p) for p in part.param_groups[0]["params"]} for part in optimizer.parts)
    names = {name for name, p in net.named_parameters() if id(p) in by_muon}
    layers = ("attention.qkv", "attention.out", "mlp.0", "mlp.2", "modulation")
    assert names == {f"blocks.{i}.{layer}.weight" for i in range(2) for layer in layers}
    assert by_muon.isdisjoint(others) and len(by_muon | others) == len(list(net.parameters()))
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step(1.0)
    moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
    assert all(moved) and all(p.grad is None for p in net.parameters())
    _, again = make_transformers.build(sizes)
    again.load_state_dict(optimizer.state_dict())
    assert again.parts[1].state_dict()["state"].keys() == optimizer.parts[1].state_dict()["state"].keys()


def test_held_out_losses_are_those_of_the_noise_and_always_the_same(monkeypatch):
    monkeypatch.setattr(make_transformers, "fresh_pictures", lambda n, seed: IMAGES[torch.arange(n) % 64])
    monkeypatch.setattr(make_transformers, "HELD_OUT", 500)
    net = DiT(3, 3, dim=16, depth=1, heads=1)
    first = make_transformers.held_out_losses(net)
    assert list(first.values()) == pytest.approx(6 * [1], abs=0.01)  # it says 0
    assert first["all"] == pytest.approx(sum(list(first.values())[1:]) / 5, abs=1e-4)
    torch.nn.init.normal_(net.out.weight, std=0.1)
    assert make_transformers.held_out_losses(net) == make_transformers.held_out_losses(net.train()) and net.training

    def wild_at_the_last_levels(x, t):
        return torch.where(t[:, None, None, None] > 0.8, torch.full_like(x, 1000.0), torch.zeros(()))

    *others, last = list(make_transformers.held_out_losses(wild_at_the_last_levels).values())[1:]
    assert last == pytest.approx(1e6, rel=0.01) and others == pytest.approx(4 * [1], abs=0.1)


def test_what_is_there_is_not_made_again(tmp_path, small, monkeypatch):
    monkeypatch.setattr(make_transformers, "sprite_tensors", lambda *args: (IMAGES, LABELS))
    monkeypatch.setattr(make_transformers, "timed", lambda *args: TIMED)
    make_transformers.main(["unet_0", "images_0"])
    first = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert first["runs"].keys() == {"unet_0", "images_0"} and len(small) == 2
    make_transformers.main(["images_0", "patch_8"])
    second = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert second["runs"].keys() == {"unet_0", "images_0", "patch_8"} and len(small) == 3
    assert second["runs"]["unet_0"] == first["runs"]["unet_0"]
    assert (tmp_path / "FIGURES.md").read_text(encoding="utf-8") == make_transformers.page(second)


def test_an_unknown_network_is_refused(capsys):
    with pytest.raises(SystemExit):
        make_transformers.main(["unets"])
    assert "expected networks among network, unet_0" in capsys.readouterr().err


def test_tables_bring_the_seeds_together(small):
    def run(seed, loss):
        fsd = [{name: 10.0 * (seed + 1) for name in make_transformers.SHORT}]
        trained = {"steps": 1000, "images_shown": 64_000}
        losses = {"all": loss, "t = 1 to 100": 2 * loss}
        return {"parameters": 300, "losses": losses, "fsd": fsd, "trained": trained}

    runs = {f"unet_{seed}": run(seed, 0.1 + 0.01 * seed) for seed in SEEDS} | {"images_0": run(0, 0.2)}
    made = make_transformers.tables({"runs": runs, "timed": TIMED})
    unet, transformer = made["compared"]["U-Net"], made["compared"]["transformer, equal images"]
    assert unet["loss"] == {"mean": 0.11, "std": 0.01} and unet["seconds"] == 150 and transformer["seconds"] == 100
    assert unet["FSD, DDIM, 25 steps"] == {"mean": 20.0, "std": 10.0}
    assert transformer["FSD, DDIM, 25 steps"] == {"mean": 10.0, "std": None}
    bands = {"all": {"mean": 0.11, "std": 0.01}, "t = 1 to 100": {"mean": 0.22, "std": 0.02}}
    assert made["levels"]["U-Net"] == bands
    assert made["patches"]["patch 2"]["tokens"] == 64 and made["widths"]["width 64"]["loss"] == 0.2
    assert "network" not in made


def test_the_slope_is_that_of_a_power():
    rows = {f"{n}": {"parameters": n, "loss": 3 * n**-0.2} for n in (10, 100, 500, 9000)}
    assert make_transformers.slope(rows) == pytest.approx(-0.2)
    assert math.isclose(
        make_transformers.slope({"a": {"parameters": 1, "loss": 1}, "b": {"parameters": 4, "loss": 2}}), 0.5
    )


def test_the_page_shows_the_stored_figures():
    figures = json.loads(make_transformers.FIGURES.read_text(encoding="utf-8"))
    assert (make_transformers.FOLDER / "FIGURES.md").read_text(encoding="utf-8") == make_transformers.page(figures)


def test_the_stored_network_is_small():
    path = make_transformers.FOLDER / "network.pth"
    assert path.stat().st_size <= 4 * 2**20
    sizes = make_transformers.NETWORKS["network"]
    assert load_dit(path, "cpu").dim == sizes.dim
