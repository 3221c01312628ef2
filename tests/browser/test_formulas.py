"""The page's own formulas and random numbers, computed by Node, are those of the module and of torch."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import diffusion_utilities as du

HERE = Path(__file__).resolve().parent
ETAS = {"eta0": 0.0, "eta1": 1.0, "eta_inf": math.inf}
close = {"rtol": 1e-4, "atol": 1e-5}  # rounding: the page sums in 64 bits, the module in 32


@pytest.fixture(scope="module")
def ask():
    """ask(name, *arguments) → the answer of answers.mjs, one process for all tests."""
    if not shutil.which("node"):
        pytest.skip("node is not installed: it comes with Node.js")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(["node", "answers.mjs"], cwd=HERE, **pipes) as process:

        def ask(name, *given):
            line = [name, *(g.flatten().tolist() if isinstance(g, torch.Tensor) else g for g in given)]
            process.stdin.write(json.dumps(line).replace(" Infinity", ' "Infinity"') + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer["answer"]

        yield ask
        process.stdin.close()


def same(answer, expected, **tolerance):
    torch.testing.assert_close(torch.tensor(answer).reshape(expected.shape), expected, **(tolerance or close))


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**32 - 1])
def test_noise_is_torchs(ask, seed):
    # one after the other from one generator; 700 is more than its state, and some are no multiple of 16
    sizes = [16, 17, 31, 768, 700, 3 * 768]
    generator = torch.Generator().manual_seed(seed)
    for answer, size in zip(ask("randn", seed, sizes), sizes, strict=True):
        same(answer, torch.randn(size, generator=generator), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_that_the_page_does_not_know_is_refused(ask, seed):
    with pytest.raises(RuntimeError, match="expected a whole number from 0 to 4294967295 as a seed"):
        ask("randn", seed, [16])


def test_few_numbers_which_torch_draws_otherwise_are_refused(ask):
    with pytest.raises(RuntimeError, match="expected 16 numbers or more, got 15"):
        ask("randn", 0, [15])


def test_schedule(ask):
    schedule, answer = du.linear_schedule(), ask("linearSchedule")
    assert answer["timesteps"] == schedule.timesteps
    for name in ("b", "a", "ab"):
        same(answer[name], getattr(schedule, f"{name}_t"), rtol=1e-7, atol=0)


def test_classes(ask):
    text = (HERE.parents[1] / "browser" / "page" / "diffusion.js").read_text(encoding="utf-8")
    assert f"CLASS_NAMES = {json.dumps(list(du.CLASS_NAMES))};" in text


def test_step_pairs(ask):
    for n in range(1, 501):
        assert [tuple(pair) for pair in ask("stepPairs", n)] == du.step_pairs(n), n


def pictures(many):
    return torch.randn(many, 1, 3, 16, 16, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("t", [500, 250, 2, 1])
def test_predicted_picture_and_step_of_ddpm(ask, t):
    x, pred_noise, z = pictures(3)
    z = z if t > 1 else 0 * z
    same(ask("predictX0", x, t, pred_noise), du.predict_x0(x, t, pred_noise))
    same(ask("denoiseAddNoise", x, t, pred_noise, z), du.denoise_add_noise(x, t, pred_noise, z))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("levels", [(500, 450), (300, 100), (2, 1), (50, 0)], ids=str)
def test_step_of_ddim(ask, eta, levels):
    x, pred_noise, z = pictures(3)
    same(ask("denoiseDdim", x, *levels, pred_noise, eta, z), du.denoise_ddim(x, *levels, pred_noise, eta, z))


@pytest.mark.parametrize("eta", ETAS.values(), ids=ETAS)
@pytest.mark.parametrize("levels", [(450, 400), (300, 100), (2, 1), (50, 0)], ids=str)
def test_step_of_dpm(ask, eta, levels):
    x, x0_pred, x0_before, z = pictures(4)
    for before in (None, (500, x0_before)):
        sent = before and (500, x0_before.flatten().tolist())
        expected = du.denoise_dpm(x, *levels, x0_pred, before, eta=eta, z=z)
        same(ask("denoiseDpm", x, *levels, x0_pred, sent, eta, z), expected)


def test_step_of_ddpm_goes_down_by_one(ask):
    with pytest.raises(RuntimeError, match="DDPM goes from t to t-1, not from 500 to 450"):
        ask("walk", "ddpm", 0, True, 1, {"guidance": 1, "context": None, "seed": 0, "steps": 10})


class StandIn:
    """The model of answers.mjs: the best guess for pictures from N(m, 1/4), with m from the context."""

    in_channels, height, n_cfeat = 3, 16, 5

    def __call__(self, x, t, c=None):
        m = -0.3 if c is None else float(c[0] @ torch.arange(1, 6.0)) / 10
        return du.exact_denoiser(m, 0.5)(x, t)


WALKS = {
    "dpm_eta_inf": ("dpm", math.inf, du.dpm_step, 10),
    "dpm_eta0": ("dpm", 0.0, du.dpm_step, 7),
    "ddim_eta0": ("ddim", 0.0, du.ddim_step, 25),
    "ddim_eta1": ("ddim", 1.0, du.ddim_step, 12),
    "ddpm": ("ddpm", None, lambda eta: du.ddpm_step(), 500),
}


@pytest.mark.parametrize("guidance", [0, 1, 2.5])
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "without_fresh"])
@pytest.mark.parametrize("name", WALKS)
def test_walk_from_noise_to_sprite(ask, name, fresh, guidance):
    kind, eta, make, steps = WALKS[name]
    how = {"guidance": guidance, "context": [0.6, 0, 0.4, 0, 0], "seed": 3, "steps": steps}
    answer = ask("walk", kind, eta, fresh, 2, how)

    step = make(eta)
    wrapped = step if fresh else lambda x, t, t_next, noise, z: step(x, t, t_next, noise, torch.zeros_like(z))
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 16, 16, generator=generator)
    context = torch.tensor([how["context"]] * 2)
    model = du.Guided(StandIn(), guidance)
    walk = du.denoising(wrapped, du.step_pairs(steps), 2, model=model, x=x, context=context, seed=generator)
    *_, (t, x, x0_pred) = walk
    assert answer["t"] == t == 0
    same(answer["x"], x, rtol=1e-3, atol=1e-4)
    same(answer["x0Pred"], x0_pred, rtol=1e-3, atol=1e-4)
