"""The samplers: the list of steps, seeds, frames, how they call the network, and what they leave untouched."""

import re

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from support import files

T = 10  # a short schedule for the tests that look at every step
SHORT = du.linear_schedule(T, 0.01, 0.2)


def run(name, model, n_sample=2, *, context=None, schedule=SHORT, seed=0, **options):
    """One sampler by name, with whatever arguments all of them share."""
    if name.endswith("_context"):
        options["context"] = torch.zeros(n_sample, 5) if context is None else context
    if "ddim" in name or name.startswith("dpm"):
        options.setdefault("n", 4)
    options.setdefault("progress", False)
    return getattr(du, f"sample_{name}")(n_sample, model=model, schedule=schedule, seed=seed, **options)


SAMPLERS = ["ddpm", "ddpm_incorrect", "ddpm_context", "ddim", "ddim_context", "dpm", "dpm_context"]
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
STEPS = {
    "ddpm": T,
    "ddpm_incorrect": T,
    "ddpm_context": T,
    "ddim": 4,
    "ddim_context": 4,
    "dpm": 4,
    "dpm_context": 4,
}


# --------------------------------------------------------------------------------------- step_pairs


def check_walk(pairs, n, timesteps):
    levels = [t for t, _ in pairs] + [pairs[-1][1]]
    gaps = [t - t_next for t, t_next in pairs]
    assert len(pairs) == n
    assert levels[0] == timesteps and levels[-1] == 0
    assert all(pairs[i][1] == pairs[i + 1][0] for i in range(n - 1))
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
    assert all(type(level) is int for level in levels)


def test_every_number_of_steps_from_1_to_500_walks_from_500_to_0():
    for n in range(1, 501):
        check_walk(du.step_pairs(n, 500), n, 500)


@pytest.mark.parametrize("timesteps", [1, 2, 3, 7, 10, 64])
def test_every_number_of_steps_works_for_other_schedules(timesteps):
    for n in range(1, timesteps + 1):
        check_walk(du.step_pairs(n, timesteps), n, timesteps)


@pytest.mark.parametrize(("n", "timesteps"), [(1, 1000), (333, 1000), (999, 1000), (1000, 1000)])
def test_long_schedules(n, timesteps):
    check_walk(du.step_pairs(n, timesteps), n, timesteps)


def test_examples_of_step_pairs():
    assert du.step_pairs(1) == [(500, 0)]
    assert du.step_pairs(2, 500) == [(500, 250), (250, 0)]
    assert du.step_pairs(500)[0] == (500, 499) and du.step_pairs(500)[-1] == (1, 0)
    assert du.step_pairs(20)[:2] == [(500, 475), (475, 450)]


# -------------------------------------------------------------------------------- shapes and frames


@every_sampler
@pytest.mark.parametrize("n_sample", [1, 3])
def test_samples_and_frames_have_the_promised_form(name, n_sample, tiny_model):
    samples, frames = run(name, tiny_model, n_sample, save_rate=1)
    assert isinstance(samples, torch.Tensor) and samples.dtype == torch.float32
    assert samples.shape == (n_sample, 3, 16, 16) and samples.is_contiguous()
    assert isinstance(frames, np.ndarray) and frames.dtype == np.float32
    assert frames.shape == (STEPS[name] + 1, n_sample, 3, 16, 16)
    assert torch.isfinite(samples).all() and np.isfinite(frames).all()
    assert not samples.requires_grad


@every_sampler
def test_first_frame_is_the_start_noise_of_the_seed_and_last_the_result(name, tiny_model):
    """x_T comes from the CPU's generator, whatever the device: so a seed means the same sprites everywhere."""
    samples, frames = run(name, tiny_model, 2, seed=7)
    x_T = torch.randn(2, 3, 16, 16, generator=torch.Generator("cpu").manual_seed(7))  # noqa: N806
    assert np.array_equal(frames[0], x_T.numpy())
    assert np.array_equal(frames[-1], samples.numpy())
    assert not np.array_equal(frames[0], frames[-1])


@every_sampler
@pytest.mark.parametrize("save_rate", [1, 3, 4, 5, 10, 1000])
def test_number_of_frames(name, save_rate, make_recorder):
    """The start, one after every save_rate steps, and the result, which is not kept twice."""
    _, frames = run(name, make_recorder(), save_rate=save_rate)
    assert len(frames) == 1 + -(-STEPS[name] // save_rate)


def test_saved_frames_are_those_after_every_save_rate_steps(make_recorder):
    _, every = run("ddpm", make_recorder(), save_rate=1)
    _, some = run("ddpm", make_recorder(), save_rate=4)
    assert np.array_equal(some, every[[0, 4, 8, 10]])


def test_default_frame_counts():
    def zero(x, t, c):
        return torch.zeros_like(x)

    context = torch.zeros(1, 5)
    assert len(du.sample_ddpm(1, model=zero, progress=False)[1]) == 26
    assert len(du.sample_ddpm_incorrect(1, model=zero, progress=False)[1]) == 26
    assert len(du.sample_ddpm_context(1, context, model=zero, progress=False)[1]) == 26
    assert len(du.sample_ddim(1, model=zero, progress=False)[1]) == 21
    assert len(du.sample_ddim_context(1, context, model=zero, progress=False)[1]) == 21


@pytest.mark.parametrize("height", [12, 20])
def test_pictures_are_of_the_networks_height(make_model, height):
    samples, _ = run("ddim", make_model(height=height))
    assert samples.shape == (2, 3, height, height)


@every_sampler
def test_progress_bar_only_where_asked_for(name, make_recorder, capsys):
    run(name, make_recorder(), progress=False)
    assert capsys.readouterr().err == ""
    run(name, make_recorder(), progress=True)
    assert "it" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------- seeds


@every_sampler
def test_same_seed_same_sprites_other_seed_others(name, tiny_model):
    one, other = run(name, tiny_model, seed=1)[0], run(name, tiny_model, seed=2)[0]
    assert torch.equal(one, run(name, tiny_model, seed=1)[0])
    assert not torch.allclose(one, other, atol=1e-2)


@every_sampler
def test_a_schedule_that_leaves_nothing_of_the_picture_is_refused(name, tiny_model):
    with pytest.raises(ValueError, match="ends at ᾱ_T = 0"):
        run(name, tiny_model, schedule=du.NoiseSchedule.from_betas(torch.linspace(0.1, 1, T)))


def test_a_seed_may_be_a_number_of_numpy(tiny_model):
    assert torch.equal(run("ddim", tiny_model, seed=np.int64(3))[0], run("ddim", tiny_model, seed=3)[0])


@every_sampler
def test_a_seed_neither_reads_nor_changes_torchs_own_stream(name, tiny_model):
    torch.manual_seed(1)
    one = run(name, tiny_model, seed=5)[0]
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(run(name, tiny_model, seed=5)[0], one)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["ddim", "ddim_context"])
def test_a_seed_covers_the_noise_of_eta(name, tiny_model):
    torch.manual_seed(1)
    one = run(name, tiny_model, seed=5, eta=1.0)[0]
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(run(name, tiny_model, seed=5, eta=1.0)[0], one)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(run(name, tiny_model, seed=5, eta=0.0)[0], one)


@every_sampler
def test_without_a_seed_torchs_own_stream_decides(name, tiny_model):
    torch.manual_seed(1)
    one, two = run(name, tiny_model, seed=None)[0], run(name, tiny_model, seed=None)[0]
    assert not torch.equal(one, two)
    torch.manual_seed(1)
    assert torch.equal(run(name, tiny_model, seed=None)[0], one)


def test_all_samplers_start_from_the_same_noise(make_recorder):
    starts = [run(name, make_recorder(), seed=3)[1][0] for name in SAMPLERS]
    assert all(np.array_equal(start, starts[0]) for start in starts)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_sampler
def test_a_seed_means_the_same_sprites_on_the_gpu(name, tiny_model, make_model):
    on_cpu = run(name, tiny_model, seed=4, context=torch.eye(5)[:2])
    on_gpu = run(name, make_model().cuda(), seed=4, context=torch.eye(5)[:2])
    assert on_gpu[0].is_cuda
    assert np.array_equal(on_cpu[1][0], on_gpu[1][0])
    # TF32 convolutions keep three digits
    np.testing.assert_allclose(on_gpu[1], on_cpu[1], atol=5e-2)


# -------------------------------------------------------------------------- the model is left alone


@every_sampler
@pytest.mark.parametrize("training", [True, False])
def test_modes_and_weights_of_the_network_stay(name, training, make_model):
    model = make_model().train(training)
    model.down1.eval()
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run(name, model)
    assert [module.training for module in model.modules()] == modes
    after = model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in before)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


class Wrapped(torch.nn.Module):
    """Any other network: with a batch norm, which shows whether it is called in evaluation mode."""

    def __init__(self, fail=False):
        super().__init__()
        self.norm, self.fail, self.seen = torch.nn.BatchNorm2d(3), fail, []

    def forward(self, x, t, c):
        self.seen.append(self.norm.training)
        if self.fail:
            raise RuntimeError("inside the network")
        return self.norm(x)


@every_sampler
def test_other_networks_are_called_in_evaluation_mode_and_restored(name):
    model = Wrapped().train()
    run(name, model)
    assert model.seen == [False] * STEPS[name]
    assert model.training and model.norm.training and model.norm.num_batches_tracked == 0


def test_modes_are_restored_when_the_network_fails():
    model = Wrapped(fail=True).train()
    with pytest.raises(RuntimeError, match="inside"):
        run("ddpm", model)
    assert model.training and model.norm.training


def test_a_network_in_training_mode_samples_as_in_evaluation_mode(make_model):
    assert torch.equal(run("ddpm", make_model().train())[0], run("ddpm", make_model().eval())[0])


def test_the_prepared_network_computes_the_same(make_model):
    """Batch norm folded into convolutions is the same map; float32 rounding through 20 layers leaves 1e-4."""
    model = make_model(16).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = du.faster(model)
    assert fast is not model and model.training
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    x, c = torch.randn(4, 3, 16, 16), torch.rand(4, 5)
    model.eval()
    for t in (0.002, 0.5, 1.0):
        torch.testing.assert_close(fast(x, t, c), model(x, t, c), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast(x, 0.5), model(x, 0.5), rtol=1e-4, atol=1e-4)


def test_a_prepared_network_can_be_given_to_a_sampler(make_model):
    model = make_model()
    torch.testing.assert_close(run("ddim", du.faster(model))[0], run("ddim", model)[0], rtol=1e-4, atol=1e-4)


def test_other_models_are_used_as_they_are():
    model = Wrapped()
    assert du.faster(model) is model


def test_sampling_a_network_equals_sampling_it_as_a_plain_function(make_model):
    """The loop with the prepared copy against the loop with the network itself, called from a function."""
    model = make_model()
    context = torch.eye(5)[:2]
    plain = run("ddim_context", lambda x, t, c: model(x, t, c), context=context)[0]
    torch.testing.assert_close(run("ddim_context", model, context=context)[0], plain, rtol=1e-3, atol=1e-3)


# -------------------------------------------------------------------------- how the model is called


@pytest.mark.parametrize("name", ["ddpm", "ddpm_incorrect", "ddpm_context"])
def test_ddpm_calls_the_network_once_at_every_level(name, make_recorder):
    model = make_recorder()
    run(name, model)
    assert [t.item() for t in model.times] == [np.float32(t / T) for t in range(T, 0, -1)]


@pytest.mark.parametrize("name", ["ddim", "ddim_context"])
@pytest.mark.parametrize(("n", "levels"), [(1, [10]), (2, [10, 5]), (4, [10, 8, 5, 2]), (10, range(10, 0, -1))])
def test_ddim_calls_the_network_at_the_levels_of_its_walk(name, n, levels, make_recorder):
    model = make_recorder()
    run(name, model, n=n)
    assert [t.item() for t in model.times] == [np.float32(t / T) for t in levels]


def test_times_of_the_default_schedule_are_parts_of_500(make_recorder):
    model = make_recorder()
    run("ddim", model, n=500, schedule=None)
    assert [t.item() for t in model.times] == [np.float32(t / 500) for t in range(500, 0, -1)]


@pytest.mark.parametrize("name", ["ddpm", "ddpm_incorrect", "ddim"])
def test_samplers_without_context_pass_none(name, make_recorder):
    model = make_recorder()
    run(name, model)
    assert model.contexts == [None] * STEPS[name]


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
@pytest.mark.parametrize(("guidance", "kinds"), [(0.0, {"none"}), (1.0, {"context"}), (3.0, {"context", "none"})])
def test_the_network_is_asked_only_for_what_guidance_needs(name, guidance, kinds, make_recorder):
    model, context = make_recorder(), torch.eye(5)[:2]
    run(name, model, context=context, guidance=guidance)
    seen = ["none" if c is None else "context" for c in model.contexts]
    assert all(c is None or torch.equal(c, context) for c in model.contexts)
    assert set(seen) == kinds
    assert all(seen.count(kind) == STEPS[name] for kind in kinds)


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 3.0, -1.0])
def test_guided_samples_equal_those_of_the_guided_prediction(name, guidance, tiny_model):
    """A function that mixes the two predictions by itself, asked without guidance, draws the same."""
    context = torch.eye(5)[[0, 2]]

    def mixed(x, t, c):
        with_context, without = tiny_model(x, t, context), tiny_model(x, t, None)
        return (1 - guidance) * without + guidance * with_context

    ours = run(name, tiny_model, context=context, guidance=guidance)[0]
    torch.testing.assert_close(ours, run(name, mixed, context=context)[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
def test_each_sample_follows_its_own_row_of_the_context(name, make_recorder):
    """A predictor that answers with its context: rows must neither mix nor swap."""

    def answer(x, t, c):
        return c.sum(1)[:, None, None, None].expand_as(x)

    context = torch.tensor([[0.0] * 5, [1, 0, 0, 0, 0], [0, 2, 0, 0, 0]])
    zero = run(name, make_recorder(), 3, context=context)[0]
    moved = run(name, make_recorder(answer), 3, context=context)[0] - zero
    assert moved[0].abs().max() < 1e-5
    torch.testing.assert_close(moved[2], 2 * moved[1], rtol=1e-4, atol=1e-5)
    assert moved[1].abs().min() > 0.1


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
def test_context_changes_the_sprites_of_a_network(name, tiny_model):
    one = run(name, tiny_model, context=torch.eye(5)[[0, 0]])[0]
    assert (one - run(name, tiny_model, context=torch.eye(5)[[2, 2]])[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ddpm", "model_trained"),
        ("ddpm_incorrect", "model_trained"),
        ("ddim", "model_trained"),
        ("dpm", "model_trained"),
        ("ddpm_context", "context_model_trained"),
        ("ddim_context", "context_model_trained"),
        ("dpm_context", "context_model_trained"),
    ],
)
def test_the_default_network_is_the_pretrained_one(name, expected, tiny_model, monkeypatch):
    asked = []
    monkeypatch.setattr(du, "_pretrained", lambda wanted: asked.append(wanted) or tiny_model)
    assert torch.equal(run(name, None)[0], run(name, tiny_model)[0])
    assert asked == [expected]


def test_the_default_network_is_loaded_once(tiny_model, tmp_path, monkeypatch):
    torch.save(tiny_model.state_dict(), tmp_path / "tiny.pth")
    monkeypatch.setattr(files, "WEIGHTS_DIR", tmp_path)
    du._pretrained.cache_clear()
    assert du._pretrained("tiny") is du._pretrained("tiny")
    du._pretrained.cache_clear()


# --------------------------------------------------------------------------------- noise on the way


def test_every_ddpm_step_but_the_last_adds_noise_of_size_root_beta(make_recorder):
    """With a network that predicts zero, a step is x/√α_t + √β_t z: 49,152 numbers know √β to 0.3 %."""
    _, frames = run("ddpm", make_recorder(), 64, save_rate=1)
    for i, t in enumerate(range(T, 1, -1)):
        z = (frames[i + 1] - frames[i] / np.sqrt(SHORT.a_t[t].item())) / np.sqrt(SHORT.b_t[t].item())
        assert z.std() == pytest.approx(1, abs=0.016)
        assert abs(z.mean()) < 0.023
        assert abs((z * frames[i]).mean()) < 0.03  # fresh: not the noise that x already holds


@pytest.mark.parametrize("name", ["ddpm", "ddpm_context"])
def test_the_last_ddpm_step_adds_no_noise(name, make_recorder):
    _, frames = run(name, make_recorder(), save_rate=1)
    np.testing.assert_allclose(frames[-1], frames[-2] / np.sqrt(SHORT.a_t[1].item()), rtol=1e-6)


def test_noise_of_two_steps_and_of_two_samples_is_not_the_same(make_recorder):
    _, frames = run("ddpm", make_recorder(), 2, save_rate=1)
    z = [
        (frames[i + 1] - frames[i] / np.sqrt(SHORT.a_t[t].item())) / np.sqrt(SHORT.b_t[t].item())
        for i, t in enumerate(range(T, 1, -1))
    ]
    flat = np.stack(z).reshape(2 * (T - 1), -1)
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 0.2  # 768 numbers each: 5.5 errors of an independent pair


def test_the_incorrect_sampler_adds_no_noise_at_any_step(make_recorder):
    _, frames = run("ddpm_incorrect", make_recorder(), save_rate=1)
    for i, t in enumerate(range(T, 0, -1)):
        np.testing.assert_allclose(frames[i + 1], frames[i] / np.sqrt(SHORT.a_t[t].item()), rtol=1e-6)


def test_the_incorrect_sampler_differs_from_the_correct_one(tiny_model):
    wrong, right = run("ddpm_incorrect", tiny_model), run("ddpm", tiny_model)
    assert np.array_equal(wrong[1][0], right[1][0])
    assert not torch.allclose(wrong[0], right[0], atol=1e-2)


def test_context_samplers_with_a_zero_row_equal_those_without_context(tiny_model):
    for name in ("ddpm", "ddim"):
        with_zero, without = run(f"{name}_context", tiny_model)[0], run(name, tiny_model)[0]
        torch.testing.assert_close(with_zero, without, rtol=1e-3, atol=1e-4)


# ------------------------------------------------ refused requests; for more see test_bad_inputs.py


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 4), (2, 6), (2, 5, 1), ()], ids=str)
def test_contexts_of_another_shape_are_refused_with_both_shapes(name, shape, tiny_model):
    with pytest.raises(ValueError, match=re.escape("(2, 5)") + ".*" + re.escape(str(shape))):
        run(name, tiny_model, 2, context=torch.zeros(shape))


@pytest.mark.parametrize("name", ["ddpm_context", "ddim_context"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_contexts_that_are_not_finite_are_refused(name, value, tiny_model):
    context = torch.zeros(2, 5)
    context[1, 3] = value
    with pytest.raises(ValueError, match="not finite"):
        run(name, tiny_model, 2, context=context)


def test_a_refused_request_does_not_call_the_network(make_recorder):
    model = make_recorder()
    with pytest.raises(ValueError):
        run("ddpm_context", model, 2, context=torch.zeros(3, 5))
    assert model.times == []
