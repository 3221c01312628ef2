"""Short runs of other recipes: each differs in one thing, is made once, and stands in the table."""

import functools
import json
import math

import pytest
import torch

import diffusion_utilities as du
from going_further import predictions
from support.quality import Ruler
from support.training import Recipe, training_step
from weights import card, compare

CLASSES = torch.arange(64) % 5
LABELS = torch.eye(5)[CLASSES]


@pytest.fixture
def images():
    """Pictures that are dark on the left only, so that a mirrored one is known."""
    images = torch.ones(64, 3, 16, 16)
    images[:, :, 4:12, 2:7] = -0.5
    return images


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "WEIGHTS_DIR", tmp_path)
    return tmp_path


@functools.cache
def ruler():
    """One for all tests, with two sampling seeds: it takes seconds to make."""
    return Ruler(torch.ones(64, 3, 16, 16), seeds=(0, 1))


def run_main(images, monkeypatch, *arguments):
    """The program on few pictures, with a tiny network; the names that it trained."""
    trained, train_network = [], compare.train_network

    def noted(name, *rest, **ways):
        trained.append(name)
        return train_network(name, *rest, **ways)

    def tiny(channels, n_feat, *rest):
        return du.ContextUnet(channels, 8, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(compare, "sprite_tensors", lambda *_: (images, LABELS))
        patched.setattr(compare, "ContextUnet", tiny)
        patched.setattr(compare, "Ruler", lambda images: ruler())
        patched.setattr(compare, "train_network", noted)
        compare.main(list(arguments))
    return trained


def test_runs_are_made_once_and_the_table_shows_them(images, folder, monkeypatch, capsys):
    arguments = ("predicts_v", "shipped", "--images", "512")
    first = run_main(images, monkeypatch, *arguments)
    names = [f"compare_{name}_2_0" for name in ("predicts_v", "shipped")]
    assert first == names
    assert run_main(images, monkeypatch, *arguments) == []
    assert capsys.readouterr().out.count("is there") == 2
    # another length is another run, and shorter ones come first
    assert run_main(images, monkeypatch, "shipped", "--images", "256") == ["compare_shipped_1_0"]
    runs = json.loads((folder / "comparison.json").read_text())["runs"]
    assert [run["recipe"]["epochs"] for run in runs] == [2, 2, 1]
    for run in runs:
        assert run["fsd"].keys() == set(compare.SHORT)
        assert all(fsd["mean"] > 0 and fsd["std"] is not None for fsd in run["fsd"].values())
        assert run["images_shown"] == 256 * run["recipe"]["epochs"]
        assert run["made_on"]["device"] in ("cpu", "cuda") and run["seconds"] >= 0
    lines = (folder / "COMPARISON.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    shipped, predicts_v = (compare.CHANGES[name].words for name in ("shipped", "predicts_v"))
    assert [row[0] for row in rows[2:]] == [shipped, shipped, predicts_v]
    assert [row[1:3] for row in rows[2:]] == [["256", "0"], ["512", "0"], ["512", "0"]]
    assert rows[2][3] == shown(runs[-1]["fsd"][compare.SHORT[0]])
    # nothing else is left
    assert {path.name for path in folder.rglob("*")} == {"comparison.json", "COMPARISON.md", "runs"}


def shown(figure):
    return f"{figure['mean']:.1f} ± {figure['std']:.1f}"


def test_a_run_that_was_stopped_goes_on(images, folder, monkeypatch):
    """Stopped in the measuring: the training is not made again, and the figures are those of a whole run."""
    arguments = ("shipped", "--images", "512")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(compare, "measure_short", stop)
        with pytest.raises(KeyboardInterrupt):
            run_main(images, monkeypatch, *arguments)
    assert not (folder / "comparison.json").exists()
    assert (folder / "runs" / "compare_shipped_2_0.checkpoint").exists()
    epochs = []
    with monkeypatch.context() as patched:
        patched.setattr("support.training.Run.train_epoch", lambda run: epochs.append(run))
        run_main(images, monkeypatch, *arguments)
    assert not epochs
    (gone_on,) = compare.read_runs()
    (folder / "comparison.json").unlink()
    run_main(images, monkeypatch, *arguments)
    (whole,) = compare.read_runs()
    assert gone_on["fsd"] == whole["fsd"] and gone_on["loss_per_epoch"] == whole["loss_per_epoch"]


def test_each_differs_from_the_shipped_recipe_in_one_thing():
    shipped = compare.short_recipe("shipped", 1788, 192_000, 0, False)
    assert shipped.steps(1788) * shipped.epochs * 64 == pytest.approx(192_000, rel=0.02)
    recipe_of_the_weights = {"largest_weight": 5.0, "batch_size": 64, "rate": 1.0, "ema_decay": 0.999}
    assert recipe_of_the_weights.items() <= shipped.as_dict().items()
    for name, change in compare.CHANGES.items():
        recipe = compare.short_recipe(name, 1788, 192_000, 0, False)
        differing = {key for key, value in recipe.as_dict().items() if value != shipped.as_dict()[key]}
        assert differing == change.recipe.keys()
        things = len(change.recipe) + len(change.ways) + (change.wrapper is not None)
        assert things == (name != "shipped"), name


def test_half_of_the_levels_are_drawn_in_the_middle():
    levels = compare.middle_levels(20_000, 500, torch.Generator().manual_seed(0))
    assert levels.min() == 1 and levels.max() == 500
    inside = ((levels >= 220) & (levels <= 440)).float().mean().item()
    assert inside == pytest.approx(0.5 + 0.5 * 221 / 500, abs=0.01)
    assert (levels == 220).any() and (levels == 440).any()


def test_side_facing_sprites_are_not_mirrored_and_all_others_are(images):
    batches = compare.facing_batches(images, LABELS, 64, torch.Generator().manual_seed(0))
    mirrored, facing = [], []
    for _ in range(20):
        x, c = next(batches)
        mirrored.append(x[:, :, 4:12, :8].mean(dim=(1, 2, 3)) > x[:, :, 4:12, 8:].mean(dim=(1, 2, 3)))
        facing.append(c[:, 4] == 1)
    mirrored, facing = torch.cat(mirrored), torch.cat(facing)
    assert facing.sum() == 20 * 12 and not mirrored[facing].any()
    assert mirrored[~facing].float().mean().item() == pytest.approx(0.5, abs=0.06)
    # hues are still turned, and the same seed gives the same
    assert not torch.equal(x[facing[-64:]][0], images[0])
    again = compare.facing_batches(images, LABELS, 64, torch.Generator().manual_seed(0))
    *_, last = (next(again) for _ in range(20))
    assert torch.equal(last[0], x)


def test_v_implies_the_noise(make_model):
    network = make_model()
    ours, theirs = compare.PredictsV(network), predictions.PredictsV(network)
    x = torch.randn(4, 3, 16, 16)
    for t in (0.002, 1.0, torch.tensor([0.002, 0.1, 0.5, 1.0])):
        torch.testing.assert_close(ours(x, t), theirs(x, t).float(), atol=1e-5, rtol=1e-5)
    # a network that knows v gives the noise back
    schedule, t = du.linear_schedule(), torch.tensor([1, 50, 250, 500])
    x0, noise = torch.randn(2, 4, 3, 16, 16)
    ab_t = schedule.ab_t[t][:, None, None, None]
    v = ab_t.sqrt() * noise - (1 - ab_t).sqrt() * x0
    knows = compare.PredictsV(lambda x, t, c: v)
    torch.testing.assert_close(knows(du.perturb_input(x0, t, noise), t / 500), noise, atol=1e-5, rtol=1e-4)


def test_a_network_of_v_learns_by_the_step_of_all_others():
    """The error of the noise, weighted by 1/ᾱ, is that of v: the gradient at the network's answer is 2 (v_θ - v)."""
    answer = torch.nn.Parameter(torch.zeros(1, 3, 16, 16))

    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = answer

        def forward(self, x, t, c):
            return self.answer.expand_as(x)

    class Noted:
        def step(self, factor):
            self.gradient = answer.grad.clone()

    noted, model = Noted(), compare.PredictsV(Constant())
    images, recipe = torch.zeros(1, 3, 16, 16), Recipe(largest_weight=math.inf)
    generator = torch.Generator().manual_seed(0)
    schedule = du.linear_schedule()
    training_step(model, model, noted, images, LABELS[:1], 0, 10, recipe, schedule, generator)
    generator.manual_seed(0)
    t = torch.randint(1, 501, (1,), generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    v = schedule.ab_t[t].sqrt() * noise  # of a picture of zeros
    direction = noted.gradient / noted.gradient.norm()  # the step cuts long gradients
    torch.testing.assert_close(direction, -v / v.norm(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("text", ['{"runs": ', "[]", "{}", '{"runs": 3}'])
def test_a_damaged_file_is_found_before_a_run(text, images, folder, monkeypatch):
    (folder / "comparison.json").write_text(text)
    with pytest.raises(ValueError, match=r"comparison\.json"):
        run_main(images, monkeypatch, "shipped")
    assert (folder / "comparison.json").read_text() == text


@pytest.mark.parametrize("arguments", [["shiped"], ["--images", "0"], ["--seeds", "0"]])
def test_impossible_arguments_are_refused(arguments, folder, capsys):
    with pytest.raises(SystemExit):
        compare.main(arguments)
    assert "expected" in capsys.readouterr().err


def test_the_card_points_to_the_table_where_it_is(folder, monkeypatch):
    monkeypatch.setattr(card, "WEIGHTS_DIR", folder)
    assert card.comparison({}) == ""
    (folder / "COMPARISON.md").write_text("")
    assert "(COMPARISON.md)" in card.comparison({})
