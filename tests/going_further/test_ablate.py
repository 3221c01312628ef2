"""The ablation: it does all it plans, once, goes on where it was, and shows what it measured; and clipping."""

import json
import re

import pytest
import torch

import diffusion_utilities as du
from data import make_sprites
from data.make_sprites import draw_sprites
from diffusion_utilities import Clipped
from going_further import ablate
from going_further.schedules import SCHEDULES
from tests.going_further import exit_status

PLAN = ablate.QUICK


def run(*arguments):
    return exit_status(ablate.main, *arguments)


@pytest.fixture(autouse=True)
def quick_sprites(monkeypatch):
    """As fresh ones, without the second that it takes to leave out what is among the course's own."""
    monkeypatch.setattr(make_sprites, "fresh_sprites", draw_sprites)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a quick run, made by the command."""
    out = tmp_path_factory.mktemp("ablation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_sprites, "fresh_sprites", draw_sprites)
        assert run("--quick", "--out", out) == 0
    return out


def test_all_files_are_written_and_no_part_is_left(finished):
    names = {path.name for path in finished.iterdir() if path.suffix != ".checkpoint"}
    assert names == {"results.json", "table.md", "ablation.png"}
    assert (finished / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_every_network_is_sampled_in_every_way(finished):
    results = json.loads((finished / "results.json").read_text())
    ways = {str(way) for way in ablate.ways(PLAN)}
    assert ways == {"ddim 2", "ddim 4", "dpm++ 2", "dpm++ 4", "ddim 4, not clipped", "ddpm T"}
    networks = {f"{name}_{timesteps}_0" for name in PLAN.schedules for timesteps in PLAN.timesteps}
    assert set(results["networks"]) == networks | {"linear_4_1"}
    assert all(set(results["networks"][key]["fsd"]) == ways for key in networks)
    assert set(results["networks"]["linear_4_1"]["fsd"]) == {"ddim 4"}
    assert results["networks"]["cosine_8_0"]["ab_T"] == pytest.approx(SCHEDULES["cosine"](8).ab_t[-1].item(), rel=0.05)
    assert len(results["floor"]) == 3


def test_a_figure_is_the_distance_of_the_stored_networks_samples(finished):
    results = json.loads((finished / "results.json").read_text())
    net, schedule = du.load_pretrained(finished / "cosine_8_0.checkpoint"), SCHEDULES["cosine"](8)
    ruler = ablate.Ruler(PLAN.samples, torch.device("cpu"))
    options = {"schedule": schedule, "seed": 0, "progress": False}
    with torch.autocast("cpu", torch.bfloat16):
        expected = {
            "dpm++ 4": du.sample_dpm(PLAN.samples, 4, model=Clipped(net, schedule), **options)[0],
            "ddim 4": du.sample_ddim(PLAN.samples, 4, model=Clipped(net, schedule), **options)[0],
            "ddim 4, not clipped": du.sample_ddim(PLAN.samples, 4, model=net, **options)[0],
            "ddpm T": du.sample_ddpm(PLAN.samples, model=Clipped(net, schedule), **options)[0],
        }
    for way in ablate.ways(PLAN):
        samples = ablate.draw(net, schedule, way, PLAN.samples, seed=0)
        assert ruler.fsd(samples) == pytest.approx(results["networks"]["cosine_8_0"]["fsd"][str(way)], rel=1e-3)
        if str(way) in expected:
            torch.testing.assert_close(samples, expected[str(way)].clamp(-1, 1))


def test_table_and_plot_show_the_figures(finished):
    results = json.loads((finished / "results.json").read_text())
    text = (finished / "table.md").read_text(encoding="utf-8")
    assert text == ablate.table(results)
    row = next(line for line in text.splitlines() if line.startswith("| 8 | cosine |"))
    shown = [cell.strip() for cell in row.split("|")[4:-1]]
    assert shown == [f"{value:.0f}" for value in results["networks"]["cosine_8_0"]["fsd"].values()]
    panels = ablate.plot(results).axes
    assert [panel.get_title() for panel in panels] == ["T = 4", "T = 8"]
    line = next(line for line in panels[1].lines if line.get_label() == "cosine, dpm++")
    fsd = results["networks"]["cosine_8_0"]["fsd"]
    assert list(line.get_xdata()) == [2, 4] and list(line.get_ydata()) == [
        fsd["dpm++ 2"],
        fsd["dpm++ 4"],
    ]


def test_a_stopped_run_goes_on_and_does_nothing_twice(tmp_path, monkeypatch, finished):
    trained, drawn, real_draw, real_train = [], [], ablate.draw, ablate.train

    def counted_train(*arguments):
        trained.append(arguments)
        return real_train(*arguments)

    def counted_draw(net, schedule, way, *rest):
        if len(drawn) == stop:
            raise KeyboardInterrupt
        drawn.append((schedule.timesteps, str(way)))
        return real_draw(net, schedule, way, *rest)

    monkeypatch.setattr(ablate, "train", counted_train)
    monkeypatch.setattr(ablate, "draw", counted_draw)
    (tmp_path / "cosine_8_0.checkpoint").write_text("left behind by another plan")
    stop = 8
    assert run("--quick", "--out", tmp_path) == 130
    assert len(trained) == 2 and not (tmp_path / "table.md").exists()
    stopped = json.loads((tmp_path / "results.json").read_text())
    assert sum(len(row["fsd"]) for row in stopped["networks"].values()) == 8

    stop = None
    assert run("--quick", "--out", tmp_path) == 0
    # four networks in six ways, and one again with a second seed
    assert len(trained) == 5 and len(drawn) == 4 * 6 + 1
    assert (tmp_path / "results.json").read_text() == (finished / "results.json").read_text()


def test_networks_start_from_the_same_weights_and_learn(monkeypatch):
    data = ablate.datasets.load("sprites", du.ROOT / "data")
    plan = ablate.Plan(train_steps=40, n_feat=8)
    monkeypatch.setattr(ablate, "WARMUP_STEPS", 3)
    steps = []
    monkeypatch.setattr(ablate, "training_step", spy(ablate.training_step, steps))
    first = ablate.train(SCHEDULES["linear"](100), data.images, data.labels, plan, seed=0)
    losses = [loss for _, loss in steps]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert not first.training
    pictures = [x for x, _ in steps]
    steps.clear()
    plan = ablate.Plan(train_steps=3, n_feat=8)
    ablate.train(SCHEDULES["cosine"](500), data.images, data.labels, plan, seed=0)
    assert len(steps) == 3 and all(torch.equal(x, y) for x, (y, _) in zip(pictures, steps, strict=False))
    steps.clear()
    ablate.train(SCHEDULES["linear"](100), data.images, data.labels, plan, seed=1)
    assert not torch.equal(pictures[0], steps[0][0])


def spy(training_step, steps):
    def watched(net, ema, optimizer, x, *rest):
        result = training_step(net, ema, optimizer, x, *rest)
        steps.append((x.clone(), result.item()))
        return result

    return watched


def test_results_of_another_plan_or_damaged_ones_are_refused(tmp_path, capsys):
    plan = json.dumps(ablate.asdict(PLAN))
    row = '{"ab_T": 0.1, "trained": true, "fsd": {"ddim 2": "far"}}'
    cases = [('{"plan": {"samples": 1}, "networks": {}}', "of another plan")]
    damaged = ["{", "[]", "[" * 10**5, f'{{"plan": {plan}}}', f'{{"plan": {plan}, "networks": 3}}']
    for one in ("[]", "{}", row):
        damaged.append(f'{{"plan": {plan}, "networks": {{"linear_4_0": {one}}}}}')
    for text, message in [*cases, *((text, "cannot be read") for text in damaged)]:
        (tmp_path / "results.json").write_text(text)
        assert run("--quick", "--out", tmp_path) == 2
        printed = capsys.readouterr().err
        assert message in printed and len(printed.splitlines()) == 1
        assert (tmp_path / "results.json").read_text() == text
    assert run("--quick") == 2 and "another --out" in capsys.readouterr().err


def test_stored_results_are_complete_and_the_table_is_theirs():
    results = json.loads((ablate.FOLDER / "results.json").read_text())
    assert results["plan"] == json.loads(json.dumps(ablate.asdict(ablate.Plan())))
    assert (ablate.FOLDER / "table.md").read_text(encoding="utf-8") == ablate.table(results)
    assert len(re.findall(r"^\| \d+ \|", ablate.table(results), flags=re.MULTILINE)) == 9


def test_readme_says_what_the_stored_results_say():
    results = json.loads((ablate.FOLDER / "results.json").read_text())
    rows = {key[:-2]: row["fsd"] for key, row in results["networks"].items() if key.endswith("_0")}
    text = " ".join((ablate.FOLDER.parent / "README.md").read_text(encoding="utf-8").split())
    seeds = [results["networks"][f"linear_500_{seed}"]["fsd"]["ddim 50"] for seed in range(3)]
    assert f"three seeds gives {ablate._spread(seeds)}." in text
    short = rows.pop("linear_100")
    others = [row["ddim 50"] for row in rows.values()]
    stated = f"{short['ddim 50']:.0f} by DDIM in 50 steps, where all other networks are between"
    assert f"{stated} {min(others):.0f} and {max(others):.0f}." in text
    plain = [row["ddim 50, not clipped"] for key, row in rows.items() if not key.startswith("linear")]
    assert f"cosine and sigmoid are between {min(plain):.0f} and {max(plain):.0f}." in text
    linear = rows["linear_500"]
    assert f"{linear['ddim 50, not clipped']:.0f} without clipping, {linear['ddim 50']:.0f} with." in text
    assert all(row["dpm++ 10"] < row["ddim 10"] for row in [short, *rows.values()])
    assert all(row["dpm++ 10"] < 1.07 * row["dpm++ 50"] for row in rows.values())


# ----------------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid"])
def test_clipped_guess_lies_in_the_range_and_is_the_clip_of_the_networks_own(name, make_model):
    schedule, model = SCHEDULES[name](50), make_model()
    clipped = Clipped(model, schedule)
    for t in (50, 25, 1):
        x = torch.randn(4, 3, 16, 16)
        own = du.predict_x0(x, t, model(x, t / 50), schedule)
        guess = du.predict_x0(x, t, clipped(x, torch.tensor(t / 50)), schedule)
        # 1/√ᾱ_T is 1e5 for the cosine schedule, and float32 has 7 digits
        torch.testing.assert_close(guess, own.clamp(-1, 1), atol=2e-6 / schedule.ab_t[t].sqrt().item(), rtol=1e-3)


def test_clipping_leaves_a_guess_within_the_range_alone(make_recorder):
    schedule, x0 = SCHEDULES["linear"](50), torch.rand(2, 3, 16, 16) - 0.5
    noise, t = torch.randn(2, 3, 16, 16), 30
    clipped = Clipped(make_recorder(lambda x, t, c: noise), schedule)
    x = du.perturb_input(x0, t, noise, schedule)
    torch.testing.assert_close(clipped(x, torch.tensor(t / 50)), noise, atol=1e-4, rtol=1e-4)


def test_wrong_answer_at_pure_noise_ruins_a_plain_sampler_and_not_a_clipped_one(make_recorder):
    schedule = SCHEDULES["cosine"](50)
    # 1 % off at t = T
    model = make_recorder(lambda x, t, c: 0.99 * x if t == 1 else torch.zeros_like(x))
    plain, _ = du.sample_ddim(4, 10, model=model, schedule=schedule, seed=0, progress=False)
    clipped, _ = du.sample_ddim(4, 10, model=Clipped(model, schedule), schedule=schedule, seed=0, progress=False)
    assert plain.abs().max() > 10 and clipped.abs().max() < 1.01


def test_clipped_network_is_drawn_as_itself(make_model):
    model, schedule = make_model(height=8), SCHEDULES["linear"](10)
    clipped = Clipped(model, schedule)
    assert (clipped.height, clipped.in_channels, clipped.n_cfeat) == (8, 3, 5)
    context, x = torch.eye(5)[:2], torch.randn(2, 3, 8, 8)
    samples, _ = du.sample_ddim_context(2, context, 2, model=clipped, schedule=schedule, progress=False)
    assert samples.shape == (2, 3, 8, 8)
    assert not torch.equal(clipped(x, torch.tensor(0.1), context), clipped(x, torch.tensor(0.1)))
