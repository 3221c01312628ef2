"""The peers: each has the mistake that it is named for, and no other. And how networks are measured."""

import pytest
import torch

import diffusion_utilities as du
from support.quality import Ruler, fresh_pictures, spread
from support.speed import OpenvinoUnet
from support.training import with_recomputed_batch_norm
from weights import card, measure, peers


def test_missing_root_changes_the_noise_only():
    schedule, t = du.linear_schedule(), torch.tensor([1, 100, 500])
    x, noise = torch.randn(3, 3, 16, 16), torch.randn(3, 3, 16, 16)
    assert torch.equal(
        peers.perturb_without_root(x, t, 0 * noise, schedule),
        du.perturb_input(x, t, 0 * noise, schedule),
    )
    spread = peers.perturb_without_root(0 * x, t, torch.ones_like(noise), schedule)[:, 0, 0, 0]
    assert spread[1].item() == pytest.approx(0.187, abs=1e-3)  # the right one is its root, 0.433
    right = du.perturb_input(0 * x, t, torch.ones_like(noise), schedule)[:, 0, 0, 0]
    torch.testing.assert_close(spread.sqrt(), right, rtol=1e-3, atol=1e-3)


def test_random_shortcut_differs_from_pass_to_pass_and_has_nothing_to_learn():
    model, ours = peers.random_shortcut_unet().eval(), du.ContextUnet(3, 64, 5, 16)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert (model(x, 0.5) - model(x, 0.5)).abs().max() > 1e-3
    assert set(ours.state_dict()) - set(model.state_dict()) == {
        "init_conv.shortcut.weight",
        "init_conv.shortcut.bias",
    }


def test_diffusers_network_is_of_our_size_and_told_the_level():
    model, ours = peers.DiffusersUnet().eval(), du.ContextUnet(3, 64, 5, 16)
    size, our_size = (sum(p.numel() for p in m.parameters()) for m in (model, ours))
    assert 1 < size / our_size < 1.1
    levels = []
    hook = model.unet.register_forward_pre_hook(lambda module, args: levels.append(args[1].tolist()))
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert model(x, torch.tensor([1 / 500, 1.0])).shape == x.shape
        model(x, torch.tensor(250 / 500))
    hook.remove()
    assert levels == [[0, 499], [249, 249]]  # diffusers counts from 0


def test_spread_is_mean_and_sample_deviation():
    assert spread([1.0, 2.0, 3.0]) == {"mean": 2.0, "std": 1.0}


def test_drawing_in_batches_is_repeatable_and_gives_each_its_context(tiny_model, monkeypatch):
    monkeypatch.setattr(measure, "BATCH", 4)
    context = torch.eye(5)[torch.arange(10) % 5]
    options = {"model": tiny_model, "n": 2}
    x = measure.draw(du.sample_ddim_context, 10, 1, context, False, **options)
    assert x.shape == (10, 3, 16, 16)
    assert torch.equal(x, measure.draw(du.sample_ddim_context, 10, 1, context, False, **options))
    assert (x - measure.draw(du.sample_ddim_context, 10, 2, context, False, **options)).abs().max() > 1e-3
    third, _ = du.sample_ddim_context(2, context[8:], seed=10_008, progress=False, **options)
    torch.testing.assert_close(x[8:], third)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_stored_network_predicts_the_same_and_is_faster_in_16_bits_only(bf16):
    network = measure.stored("model_31", torch.device("cpu"), bf16)
    assert isinstance(network, OpenvinoUnet) == bf16
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = du.load_pretrained("model_31", "cpu")
    with torch.no_grad():
        torch.testing.assert_close(network(x, 0.5), expected(x, 0.5), rtol=0, atol=0.1 if bf16 else 0)
    # a sampler takes it as it is
    options = {"model": network, "n": 2}
    drawn = measure.draw(du.sample_ddim_context, 3, 0, None, bf16, **options)
    close = measure.draw(du.sample_ddim_context, 3, 0, None, False, **options | {"model": expected})
    torch.testing.assert_close(drawn, close, rtol=0, atol=0.3 if bf16 else 0)


def test_samples_start_from_clean_pictures_noised_as_in_training(make_model, monkeypatch):
    monkeypatch.setattr(measure, "BATCH", 2)
    starts = []

    def sampler(n, context, model, x=None, seed=None, **options):
        starts.append((x, torch.randn(1, generator=seed)))
        return torch.zeros(n, 3, 16, 16), None

    clean = torch.rand(3, 3, 16, 16) * 2 - 1
    measure.draw(sampler, 3, 1, None, False, clean=clean, model=make_model(seed=0))
    for (x, fresh), first, count in zip(starts, (0, 2), (2, 1), strict=True):
        generator = torch.Generator().manual_seed(10_000 + first)
        noise = torch.randn(count, 3, 16, 16, generator=generator)
        torch.testing.assert_close(x, du.perturb_input(clean[first : first + count], 500, noise))
        # what is drawn on the way is not the noise of the start again
        assert torch.equal(fresh, torch.randn(1, generator=generator))


def test_mean_sprites_are_those_of_all_or_of_a_class():
    images, labels = torch.randn(6, 3, 4, 4), torch.eye(2)[[0, 1, 1, 0, 1, 1]]
    torch.testing.assert_close(measure.mean_sprites(images, None), images.mean(0).expand(6, 3, 4, 4))
    of_class = measure.mean_sprites(images, labels)
    torch.testing.assert_close(of_class[3], images[[0, 3]].mean(0))
    torch.testing.assert_close(of_class[4], images[[1, 2, 4, 5]].mean(0))


def test_normal_sprites_have_the_mean_and_the_covariance_of_the_sprites():
    mixing = torch.randn(12, 12)
    images = (torch.randn(20_000, 12) @ mixing + 3).view(-1, 3, 2, 2)
    drawn = measure.normal_sprites(images, 0)
    assert drawn.shape == images.shape and not torch.equal(drawn, images)
    x, y = drawn.flatten(1), images.flatten(1)
    torch.testing.assert_close(x.mean(0), y.mean(0), rtol=0, atol=0.2)
    torch.testing.assert_close(x.T.cov(), y.T.cov(), rtol=0, atol=0.05 * y.T.cov().abs().max())
    assert torch.equal(drawn, measure.normal_sprites(images, 0))


def test_start_is_measured_from_the_mean_and_from_a_normal_distribution(small_ruler, tiny_model, monkeypatch):
    monkeypatch.setattr(measure, "load_pretrained", lambda *_: tiny_model)
    monkeypatch.setattr(measure, "FROM_THE_MEAN", {"DDIM": (2,)})
    labels = torch.eye(5)[torch.arange(32) % 5]
    figures = measure.PARTS["start"](small_ruler, labels, False)
    mean = small_ruler.images.mean(0).expand(32, 3, 16, 16)
    options = {"model": tiny_model, "clean": mean}
    sets = measure.draw_sets(small_ruler, du.sample_ddim_context, None, False, n=2, **options)
    assert figures["frontier_from_mean"] == {"DDIM": {"2": small_ruler.fsd(sets)}}
    normal = (measure.normal_sprites(small_ruler.images, seed) for seed in small_ruler.seeds)
    options = {"model": tiny_model, "n": 25}
    sets = [
        measure.draw(du.sample_ddim_context, 32, seed, None, False, clean=x, **options)
        for seed, x in zip(small_ruler.seeds, normal, strict=True)
    ]
    assert figures["fsd_from_normal"]["DDIM, 25 steps"] == small_ruler.fsd(sets)
    assert list(figures["fsd_from_normal"]) == list(measure.SHORT)


def test_recomputed_statistics_are_those_of_the_batches(make_model):
    images, labels = torch.rand(64, 3, 16, 16) * 2 - 1, torch.eye(5)[torch.arange(64) % 5]
    model = make_model(seed=0).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    settled = with_recomputed_batch_norm(model, images, labels, batches=3)
    assert not settled.training and settled.init_conv.conv1[1].num_batches_tracked == 3
    assert (settled.init_conv.conv1[1].running_var - model.init_conv.conv1[1].running_var).abs().max() > 1e-3
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), settled.parameters(), strict=True))


@pytest.fixture(scope="module")
def small_ruler():
    return Ruler(fresh_pictures(32, 5, torch.device("cpu")), seeds=(0, 1))


def test_where_the_distance_arises_starts_from_fresh_sprites(small_ruler, monkeypatch):
    monkeypatch.setattr(measure, "LEVELS", (20, 400))
    asked = []

    class Zero(torch.nn.Module):
        def forward(self, x, t, c=None):
            asked.append(round(float(torch.as_tensor(t).max()) * 500))
            return torch.zeros_like(x)

    monkeypatch.setattr(measure, "load_pretrained", lambda *_: Zero())
    figures = measure.measure_where(small_ruler, None, False)["fsd_by_start_level"]
    assert asked[:2] == [20, 20]  # one step for each seed
    assert set(asked) == {*range(20, 401, 20), *range(50, 401, 50), 20}
    assert all(list(row) == ["20", "400"] for row in figures.values()) and len(figures) == 2
    # a network that finds no noise leaves it in, and there is more of it from level 400
    assert all(row["20"]["mean"] < row["400"]["mean"] for row in figures.values())


def test_finished_pictures_are_those_of_the_sampler(tiny_model, monkeypatch):
    images = torch.rand(5, 3, 16, 16) * 2 - 1
    pairs = [(100, 50), (50, 0)]
    exact = du.exact_denoiser(0.0, 0.5)
    x = measure.finish(images, du.ddim_step(), pairs, exact, 3, False)
    start = du.perturb_input(images, 100, torch.randn(images.shape, generator=torch.Generator().manual_seed(30_000)))
    expected, _ = du.sample(du.ddim_step(), pairs, 5, model=exact, x=start, progress=False)
    torch.testing.assert_close(x, expected)


def test_autoguidance_is_swept_with_few_and_the_best_is_drawn_with_all(small_ruler, monkeypatch):
    labels = torch.eye(5)[torch.arange(32) % 5]
    settings = [("model_4", 1.0, (0, 500)), ("model_4", 9.0, (0, 500))]
    monkeypatch.setattr(measure, "AUTOGUIDANCE", settings)
    few = {"a": (du.sample_ddim_context, {"n": 2}), "b": (du.sample_dpm_context, {"n": 1})}
    monkeypatch.setattr(measure, "AUTOGUIDED", few)
    monkeypatch.setattr(measure, "SWEPT", {"a": ("b",)})
    mean = small_ruler.images.mean(0).expand(32, 3, 16, 16)
    of_class = measure.mean_sprites(small_ruler.images, labels)
    for network, context, clean, part in (
        ("model_trained", None, None, "autoguidance"),
        ("model_trained", None, mean, "autoguidance_from_mean"),
        ("context_model_trained", labels, None, "autoguidance_in_context"),
        ("context_model_trained", labels, of_class, "autoguidance_in_context_from_mean"),
    ):
        name = f"autoguidance_of_{network}" + ("" if clean is None else "_from_mean")
        one = measure.PARTS[part](small_ruler, labels, False)[name]["a"]
        assert [tuple(row[:3]) for row in one["sweep"]] == settings
        options = {"model": du.load_pretrained(network, "cpu"), "n": 2}
        rows, start = (None if x is None else x[::3] for x in (context, clean))
        plain = measure.draw(du.sample_ddim_context, 11, 0, rows, False, clean=start, **options)
        some = Ruler(small_ruler.images[::3], seeds=(0,))
        plain_fsd = du.frechet_sprite_distance(plain.clamp(-1, 1), some.fresh[0], some.classifier)
        assert one["sweep"][0][3] == pytest.approx(plain_fsd, abs=1e-3)  # w = 1 is the network itself
        assert one["best"] == min(settings, key=lambda setting: one["sweep"][settings.index(setting)][3])
        drawn = measure.autoguided(small_ruler, network, context, clean, "a", one["best"], False)
        assert one["quality"]["a"]["guided"]["fsd"] == small_ruler.fsd(drawn)
        drawn = measure.draw_sets(small_ruler, du.sample_ddim_context, context, False, clean=clean, **options)
        assert one["quality"]["a"]["plain"]["fsd"] == small_ruler.fsd(drawn)
        assert one["quality"]["a"]["plain"]["nearest"] == small_ruler.copying(drawn)["colour, 50%"]
        assert list(one["quality"]) == ["a", "b"]
        assert ("accuracy" in one["quality"]["b"]["guided"]) == (context is not None)


def test_passes_are_those_of_both_networks():
    # of the levels 500, 480, … 20 seven lie in 200 … 320
    assert measure.passes("DDIM, 25 steps", ("model_4", 2.0, (200, 320))) == 25 + 7
    assert measure.passes("DDIM, 25 steps", ("model_4", 1.0, (200, 320))) == 25
    assert measure.passes("DPM-Solver++, η = ∞, 10 steps", ("model_4", 2.0, (0, 500))) == 20


def test_clipping_is_measured_with_pictures_that_are_clipped_in_every_step(small_ruler, monkeypatch):
    asked = []

    def short(ruler, model, bf16):
        x_t, level = torch.full((1, 3, 16, 16), 3.0), torch.tensor(0.2)
        with torch.no_grad():
            x0 = du.predict_x0(x_t, 100, model(x_t, level), du.linear_schedule())
        asked.append(x0.abs().max().item())
        return {"DDIM": 1}

    monkeypatch.setattr(measure, "measure_short", short)
    labels = torch.eye(5)[torch.arange(32) % 5]
    assert measure.PARTS["clipping"](small_ruler, labels, False) == {"fsd_clipped": {"DDIM": 1}}
    assert asked[0] == pytest.approx(1, abs=1e-4)


def test_a_leg_is_measured_on_training_and_on_fresh_sprites(small_ruler, tiny_model, monkeypatch):
    monkeypatch.setattr(measure, "ERROR_LEVELS", (100,))
    monkeypatch.setattr(measure, "BATCH", 20)
    told, generator = [], torch.Generator().manual_seed(100)

    def answers_with_x_t(x, t):
        told.append((x, t))
        return x

    errors = measure.errors_of_noise(answers_with_x_t, small_ruler.images, False)
    noise = torch.cat([torch.randn(n, 3, 16, 16, generator=generator) for n in (20, 12)])
    x_t = du.perturb_input(small_ruler.images, 100, noise)
    torch.testing.assert_close(torch.cat([x for x, _ in told]), x_t)
    assert [t for _, t in told] == [0.2, 0.2]
    assert errors == {"100": pytest.approx((x_t - noise).square().mean().item(), abs=1e-4)}
    figures = measure.measure_leg(small_ruler, tiny_model, False)
    sets = measure.draw_short(small_ruler, tiny_model, False)
    assert figures["fsd"] == measure.measure_short(small_ruler, tiny_model, False)
    assert figures["nearest"] == {name: small_ruler.copying(x)["colour, 50%"] for name, x in sets.items()}
    for name, pictures in (("training", small_ruler.images), ("fresh", small_ruler.other_fresh[0])):
        assert figures["error"][name] == measure.errors_of_noise(tiny_model, pictures, False)


def test_a_peer_is_measured_by_both_samplers_and_shown_by_ddim(small_ruler, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "DOCS", tmp_path)
    shown = []
    monkeypatch.setattr(measure, "save_mosaic", lambda x, path: shown.append((x, path)))
    figures = measure.measure_peer("ours", tiny_model, small_ruler, False)
    assert list(figures) == list(measure.SHORT)
    x, path = shown[0]
    expected = measure.draw(du.sample_ddim_context, 32, 0, None, False, model=tiny_model, n=25)
    assert torch.equal(x, expected) and path == tmp_path / "peer_ours.png"


def test_the_best_of_at_most_50_passes_leaves_out_what_asks_more_often():
    frontier = {"DDIM": {"50": {"mean": 9.0}}, "DDPM": {"500": {"mean": 1.0}}}
    assert card.best_in_50_passes({"frontier": frontier}) == 9.0
    from_mean = {"frontier": frontier, "frontier_from_mean": {"DDIM": {"10": {"mean": 8.0}}}}
    assert card.best_in_50_passes(from_mean) == 8.0
    ways = {f"{n}": {"guided": {"passes": n, "fsd": {"mean": mean}}} for n, mean in ((50, 4.0), (51, 2.0))}
    guided = {"frontier": frontier, "autoguidance_of_model_trained": {"DDIM": {"quality": ways}}}
    assert card.best_in_50_passes(guided) == 4.0
