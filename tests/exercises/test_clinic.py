"""The clinics: their healthy controls are right, and every patient is ill as its answer says.

What is cheap is run with closed forms and tiny networks. The pictures are drawn once, three sprites of each, with the
shipped networks, and their bounds are wide, so that other weights of the same kind pass as well.
"""

import copy
import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from exercise_tools import clinic_tools

ROOT = Path(__file__).resolve().parents[2]
T = 500
AB = du.linear_schedule().ab_t.double()
SHAPE, FEW = (2, 3, 16, 16), (3, 3, 16, 16)
l1, l2, l4 = (importlib.import_module(f"{lab}.clinic") for lab in ("L1_Sampling", "L2_Training", "L4_FastSampling"))
solvers = importlib.import_module("going_further.solvers_clinic")
NOTEBOOKS = {
    l1: "L1_Sampling/L1_Sampling.ipynb",
    l2: "L2_Training/L2_Training.ipynb",
    l4: "L4_FastSampling/L4_FastSampling.ipynb",
    solvers: "going_further/solvers.ipynb",
}


def letters(clinic):
    """Its patients: a, b, c …"""
    return sorted(name.removeprefix("patient_") for name in vars(clinic) if name.startswith("patient_"))


PATIENTS = [(clinic, letter) for clinic in NOTEBOOKS for letter in letters(clinic)]
IDS = [f"{clinic.__name__}-{letter}" for clinic, letter in PATIENTS]


@pytest.fixture(scope="module")
def tiny(request):
    """A small network with random weights that answers differently in training mode."""
    torch.manual_seed(0)
    model = du.ContextUnet(3, 8, 5, 16)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
        if isinstance(module, du.EmbedFC):
            for parameter in module.parameters():
                parameter.data.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def data():
    folder = ROOT / "data"
    return du.load_sprites(folder / "sprites_1788_16x16.npy", folder / "sprite_labels_nc_1788_16x16.npy")


@pytest.fixture(scope="module")
def images(data):
    return data[0]


@pytest.fixture(scope="module")
def labels(data):
    return data[1]


def cases(tiny, images):
    """Clinic, letter → the control's name and cheap arguments for both."""
    few, exact = clinic_tools.few_levels(10), du.exact_denoiser(0.4, 0.25)
    ten, x = du.exact_denoiser(0.4, 0.25, few), torch.ones(5)
    return {
        l1: {letter: ("healthy", (ten, few, (64,))) for letter in "abcdefgh"},
        l2: dict.fromkeys("ac", ("healthy_network", (tiny, SHAPE)))
        | {"b": ("healthy_network", (l2.unguarded(tiny), SHAPE))}
        | dict.fromkeys("def", ("healthy_data", (images[::90], np.eye(5)[np.arange(20) % 5], (8, *SHAPE[1:]))))
        | {
            "g": ("healthy_noise", (0.4, 0.25, 64)),
            "h": ("healthy_levels", (10, 2000, 64)),
        },
        l4: dict.fromkeys("bcd", ("healthy_ddim", (exact, 10, SHAPE)))
        | {
            "a": ("healthy_ddim", (exact, 30, SHAPE)),
            "e": ("healthy_guidance", (tiny, 3.0, SHAPE)),
            "f": ("healthy_eta", (exact, 10, SHAPE, 1.0)),
        },
        solvers: dict.fromkeys("ab", ("healthy_dpm", (exact, x, du.step_pairs(10)))),
    }


@pytest.mark.parametrize("clinic, letter", PATIENTS, ids=IDS)
def test_the_patient_draws_what_its_control_does_not(clinic, letter, tiny, images):
    name, arguments = cases(tiny, images)[clinic][letter]
    control, patient = getattr(clinic, name), getattr(clinic, f"patient_{letter}")
    assert patient.__name__ == name  # it was made of this control
    # copies, because a network that samples in training mode is changed by it
    right, ill = (clinic_tools.examine(run, *copy.deepcopy(arguments)) for run in (control, patient))
    assert right.isfinite().all()
    assert not torch.allclose(ill, right, atol=1e-3)


def thrice(x):
    return 3 * x


def test_a_patient_is_the_healthy_function_but_for_one_piece():
    twice = clinic_tools.patient(thrice, "3 *", "2 *")
    assert twice(5) == 10 and thrice(5) == 15
    assert (twice.bug, twice.right) == ("return 2 * x", "return 3 * x")
    with pytest.raises(ValueError, match="expected 'x' once in thrice, got 2"):
        clinic_tools.patient(thrice, "x", "y")
    with pytest.raises(ValueError, match="expected 'y' once in thrice, got 0"):
        clinic_tools.patient(thrice, "y", "x")


def test_an_examination_leaves_the_random_numbers_of_the_notebook_alone():
    state = torch.random.get_rng_state()
    clinic_tools.examine(l1.patient_g, du.exact_denoiser(0, 1), clinic_tools.few_levels(10), (8,))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("n", [10, 25])
def test_few_levels_are_levels_of_the_course(n):
    schedule = clinic_tools.few_levels(n)
    torch.testing.assert_close(schedule.ab_t.double(), AB[:: T // n], rtol=1e-5, atol=0)


# -------------------------------------------------------------------- the controls are the module's


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_healthy_ddpm():
    model = du.exact_denoiser(0.4, 0.25)
    theirs, _ = du.sample_ddpm(2, model=model, seed=0, progress=False)
    same(clinic_tools.examine(l1.healthy, model, du.linear_schedule(), SHAPE), theirs)
    same(clinic_tools.examine(l2.healthy_noise, 0.4, 0.25, theirs.numel()), theirs.flatten())


def test_healthy_ddpm_on_few_levels(tiny):
    few = clinic_tools.few_levels(25)
    theirs, _ = du.sample_ddpm(2, model=tiny, schedule=few, seed=0, progress=False)
    same(clinic_tools.examine(l2.healthy_network, tiny, SHAPE), theirs)


def test_healthy_ddim(tiny):
    theirs, _ = du.sample_ddim(2, 25, model=tiny, seed=0, progress=False)
    same(clinic_tools.examine(l4.healthy_ddim, tiny, 25, SHAPE), theirs)
    model = du.exact_denoiser(0.4, 0.25)
    theirs, _ = du.sample_ddim(2, 25, eta=1, model=model, seed=0, progress=False)
    same(clinic_tools.examine(l4.healthy_eta, model, 25, SHAPE, 1.0), theirs)


def test_healthy_context(tiny):
    hero = torch.eye(5)[[0, 0]]
    theirs, _ = du.sample_ddim_context(2, hero, 25, guidance=3, model=tiny, seed=0, progress=False)
    same(clinic_tools.examine(l4.healthy_guidance, tiny, 3.0, SHAPE), theirs)


def test_l2_shares_are_the_classes_and_without_a_label_all_count_alike():
    labels = torch.eye(5)[[0, 0, 0, 1, 2, 3, 4]]
    shares = l2.shares(labels, l2.HERO)
    torch.testing.assert_close(labels.T @ shares, l2.HERO)
    assert torch.equal(l2.shares(labels, l2.HERO.long()), torch.full((7,), 1 / 7))


def test_healthy_dpm():
    model, x = (
        du.exact_denoiser(0.4, 0.25),
        torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)),
    )
    theirs, _ = du.sample_dpm(2, 10, model=model, seed=0, progress=False)
    same(clinic_tools.examine(solvers.healthy_dpm, model, x, du.step_pairs(10)), theirs)


def test_healthy_training_by_levels_finds_the_exact_factor():
    """Trained on 10 levels of N(0, 1), it draws what DDIM draws with the exact denoiser."""
    theirs, _ = du.sample_ddim(32, 10, model=du.exact_denoiser(0, 1), seed=0, progress=False)
    drawn = clinic_tools.examine(l2.healthy_levels, 10, l2.PAIRS, l2.NUMBERS)
    assert drawn.std().item() == pytest.approx(theirs.std().item(), rel=0.03)


# -------------------------------------------------------------------------- effects, in closed form


def spread(bell):
    return bell.numbers.std().item()


def test_l1_numbers():
    """G: the same z adds up in size. H: variance v → (1-β)² v + β. 20,000 numbers know their spread to 0.5 %."""
    drawn, b_t = l1.numbers(), du.linear_schedule().b_t.double()
    z_factor, variance = 0.0, 1.0
    for t in range(T, 0, -1):
        z_factor = z_factor * math.sqrt(1 - b_t[t]) + (math.sqrt(b_t[t]) if t > 1 else 0)
        variance = variance * (1 - b_t[t].item()) ** 2 + (b_t[t].item() if t > 1 else 0)
    assert spread(drawn["healthy"]) == pytest.approx(1, rel=0.03)
    assert spread(drawn["G"]) == pytest.approx(math.hypot(z_factor, math.sqrt(AB[T])), rel=0.03) and z_factor > 20
    assert spread(drawn["H"]) == pytest.approx(math.sqrt(variance), rel=0.03) and variance < 0.55


def test_l1_c_puts_back_too_little():
    arguments = (
        du.exact_denoiser(0.4, 0.25, clinic_tools.few_levels(25)),
        clinic_tools.few_levels(25),
        l1.NUMBERS,
    )
    right, ill = (clinic_tools.examine(sampler, *arguments) for sampler in (l1.healthy, l1.patient_c))
    assert right.std().item() == pytest.approx(0.25, rel=0.1) and ill.std() < 0.1


def test_l1_what_cannot_be_seen_can_be_measured():
    drawn = l1.unseen()
    assert spread(drawn["healthy"]) == pytest.approx(0.05, rel=0.03)
    assert 1.05 < spread(drawn["F"]) / spread(drawn["healthy"]) < 1.15
    assert spread(drawn["F"]) - spread(drawn["healthy"]) < 1 / 127.5  # less than one step of colour


def test_l2_numbers():
    drawn, b_t = l2.numbers(), du.linear_schedule().b_t.double()
    variance = 1.0
    for t in range(T, 0, -1):  # every step is a straight line in x
        strength = 1 - AB[t]
        slope = strength / (AB[t] * 0.25**2 + strength**2)
        factor = (1 - b_t[t] / (1 - AB[t]).sqrt() * slope) / (1 - b_t[t]).sqrt()
        variance = (factor**2 * variance).item() + (b_t[t].item() if t > 1 else 0)
    assert spread(drawn["healthy, 500 steps"]) == pytest.approx(0.25, rel=0.03)
    assert spread(drawn["G"]) == pytest.approx(math.sqrt(variance), rel=0.03) and variance > (1.5 * 0.25) ** 2
    top, below = AB[500], AB[450]  # the two highest of ten levels
    # DDIM's factor with the exact denoiser
    right = (top * below).sqrt() + ((1 - top) * (1 - below)).sqrt()
    ratio = spread(drawn["H"]) / spread(drawn["healthy, 10 levels"])
    assert ratio == pytest.approx(((below / top).sqrt() / right).item(), rel=0.03) and ratio > 1.5


def test_l2_with_500_levels_the_missing_one_is_not_missed():
    drawn = l2.unseen()
    assert spread(drawn["H, 500 levels"]) == pytest.approx(spread(drawn["healthy, 500 levels"]), rel=0.02)


def test_l4_numbers():
    drawn = l4.numbers()
    # healthy without fresh noise
    assert torch.equal(drawn["F, η = 0"].numbers, drawn["healthy, η = 0"].numbers)
    for name, forgotten in (("healthy, η = 1", False), ("F, η = 1", True)):
        variance = 1.0
        for t, t_prev in du.step_pairs(25):
            ab, ab_prev = AB[t], AB[t_prev]
            sigma2 = (1 - ab_prev) / (1 - ab) * (1 - ab / ab_prev)
            slope = (1 - ab).sqrt() / (ab * 0.25**2 + 1 - ab)
            kept = (1 - ab_prev - (0 if forgotten else sigma2)).sqrt()
            factor = (ab_prev / ab).sqrt() * (1 - (1 - ab).sqrt() * slope) + kept * slope
            variance = (factor**2 * variance + sigma2).item()
        assert spread(drawn[name]) == pytest.approx(math.sqrt(variance), rel=0.03)
    assert spread(drawn["F, η = 1"]) > 2 * 0.25


def test_a_solver_that_cannot_be_seen_to_be_ill_can_be_measured():
    errors = solvers.unseen()
    assert errors["healthy"][2] / errors["healthy"][3] == pytest.approx(4, rel=0.1)
    assert errors["B"][2] / errors["B"][3] == pytest.approx(2, rel=0.1)


def test_l4_a_wraps_only_if_n_does_not_divide_500():
    arguments = du.exact_denoiser(0.4, 0.25), 25, SHAPE
    assert torch.equal(
        clinic_tools.examine(l4.patient_a, *arguments),
        clinic_tools.examine(l4.healthy_ddim, *arguments),
    )
    wrapped = clinic_tools.examine(l4.patient_a, arguments[0], 30, SHAPE)
    # back at a level without picture
    assert wrapped.mean().item() == pytest.approx(0.4 * math.sqrt(AB[489]), abs=0.02)


# ------------------------------------------------------------- effects, in the pictures of the labs


@pytest.fixture(scope="module")
def real(images):
    return du.sprite_tensors(images, np.zeros((len(images), 5)))[0].cpu()


@pytest.fixture(scope="module")
def trained():
    return du.load_pretrained("model_trained", "cpu")


@pytest.fixture(scope="module")
def fast(trained):
    """The network as the samplers prepare it, with batch norm folded in: it has no training mode any more."""
    return du.faster(trained)


@pytest.fixture(scope="module")
def fast_context():
    return du.faster(du.load_pretrained("context_model_trained", "cpu"))


def by_name(rows):
    return {name.split(",")[0] if name[1:2] == "," else name: x.clamp(-1, 1) for row in rows for name, x in row.items()}


def ground(x, real):
    return du.background_error(x, real)


def test_l1_pictures(real):
    x = by_name(l1.sprites(du.faster(du.load_pretrained("model_31", "cpu")), FEW))
    control, in_10 = x["healthy"], x["healthy in 10 steps"]
    assert ground(control, real) < 4 and 0.6 < control.std() < 0.85
    # bright clouds
    assert x["A"].std() < 0.65 * control.std() and x["A"].mean() > control.mean() + 0.2
    assert ground(x["B"], real) > 60  # noise
    # cleaner than healthy: too little noise is put back
    assert ground(x["C"], real) < 0.5 * ground(control, real)
    assert x["D"].mean() > control.mean() + 0.2  # pale
    assert ground(x["E"], real) > 2 * ground(in_10, real)  # grain …
    sigma = (1 - AB[50]).sqrt().item()
    away = (x["E"] - in_10).square().mean().sqrt()
    assert 0.5 * sigma < away < sigma * 1.1  # … on the same sprites; part of it is clipped
    assert ground(x["F"], real) > 2 * ground(in_10, real)
    assert (x["F"] - in_10).square().mean().sqrt() > 1.5 * away  # grain on other sprites


def test_l2_pictures(trained, real, images, labels):
    x = by_name(l2.sprites(trained, images[::3], labels[::3], (6, 3, 16, 16)))
    control, perfect = x["healthy"], x["healthy for D, E and F"]
    assert ground(control, real) < 4
    assert ground(x["A"], real) > 3 * ground(control, real) > 0
    assert ground(x["B"], real) > 60
    assert ground(x["C"], real) > 2 * ground(control, real)
    distance, _ = du.nearest_sprite(perfect, real)
    assert distance.max() < 0.01  # copies, all of them
    # D: everything is squeezed into the upper half, so the darkest is a medium grey
    assert x["D"].min() > -0.05 and x["D"].std() < 0.65 * perfect.std()
    distance, _ = du.nearest_sprite(2 * x["D"] - 1, real)
    assert distance.max() < 0.02
    # E: some are no sprites, but are sprites when turned upside down
    upright, overturned = (du.nearest_sprite(y, real)[0] for y in (x["E"], x["E"].flip(2)))
    assert (upright > 0.1).any() and torch.minimum(upright, overturned).max() < 0.01
    # F: sprites, but of all classes
    assert du.nearest_sprite(x["F"], real)[0].max() < 0.01
    assert heroes(perfect) >= heroes(x["F"]) + 0.5


@torch.no_grad()
def heroes(x):
    return (du.load_classifier("cpu")(x)[0].argmax(dim=1) == 0).float().mean().item()


def test_l4_pictures(fast, fast_context, real):
    x = by_name(l4.sprites(fast, fast_context, FEW))
    control = x["healthy"]
    assert ground(control, real) < 3
    assert ground(x["A"], real) > 60
    assert x["B"].std(dim=0).max() < 1e-3 and control.std(dim=0).mean() > 0.3  # all alike
    # dark and dull
    assert x["C"].mean() < control.mean() - 0.04 and x["C"].std() < 0.95 * control.std()
    # level 50 holds 0.22 parts noise, half of which is clipped away on white
    assert ground(x["D"], real) > 8
    assert heroes(x["healthy, asked for heroes"]) >= 0.75 and heroes(x["E"]) <= 0.25


def test_solvers_pictures(fast, real):
    x = {name: x.clamp(-1, 1) for name, x in solvers.sprites(fast, FEW).items()}
    assert ground(x["healthy"], real) < 3
    assert ground(x["A"], real) > 30
    # this one you cannot see
    assert (x["B"] - x["healthy"]).square().mean().sqrt() < 0.3 and ground(x["B"], real) < 3


# -------------------------------------------------------------------------- what the notebooks show


def test_reports_and_galleries(real, monkeypatch):
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    rows = [
        {"healthy": torch.zeros(SHAPE), "A": torch.full(SHAPE, math.nan)},
        {"B": torch.ones(SHAPE)},
    ]
    clinic_tools.show_sprites(rows)
    bells = {name: clinic_tools.Bell(torch.randn(100), 0.0, 1.0) for name in ("healthy", "A")}
    clinic_tools.show_histograms(bells)
    for clinic in (l1, l2, l4):
        assert len(clinic.sprite_report(rows, real).splitlines()) == 4
        assert len(clinic.number_report(bells).splitlines()) == 3
    assert len(solvers.sprite_report(rows[0], real).splitlines()) == 3
    assert len(solvers.order_report(solvers.unseen()).splitlines()) == 3
    words = clinic_tools.table(["x"], {"a": [1.0], "b": [math.nan], "c": [1e9]}).split()
    assert words == ["x", "a", "1.00", "b", "exploded", "c", "exploded"]


@pytest.mark.parametrize("clinic", NOTEBOOKS, ids=lambda clinic: clinic.__name__)
def test_answers_quote_the_wrong_line_and_the_right_one(clinic):
    cells = json.loads((ROOT / NOTEBOOKS[clinic]).read_text(encoding="utf-8"))["cells"]
    text = "".join(line for cell in cells for line in cell["source"])
    assert f"import {clinic.__name__.split('.')[-1]}" in text
    for letter in letters(clinic):
        patient = getattr(clinic, f"patient_{letter}")
        ill = patient.bug.splitlines()[0]  # where a line was put in, it is the first of two
        assert ill in text and (patient.right in text or patient.right in patient.bug), letter
