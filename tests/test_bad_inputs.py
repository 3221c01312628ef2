"""What people hand over by mistake, at every public door: a clear error, or the right answer, never a wrong one.

Each row of the table names a function, arguments that are right, and what takes the place of one of them. An error is
clear if it is a ValueError (or FileNotFoundError) of the course's own that says what was expected.
"""

import math
import re

import numpy as np
import pytest
import torch

import diffusion_utilities as du
import support.files as files

NAN, INF = math.nan, math.inf
SPRITES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
LABELS = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]]
CLEAR = re.compile(r"expected|must|needs|takes|should|hold|no checkpoint|no file|not a|is no|does not fit|gave|goes")


def pictures(n=2, *shape):
    return torch.rand(n, *(shape or (3, 16, 16))) * 2 - 1


def network():
    torch.manual_seed(0)
    return du.ContextUnet(3, 8, 5, 16).eval()


# what is handed over where a tensor of pictures is meant
NO_TENSOR = {
    "None": None,
    "a word": "sprite",
    "a list": [0.5, 0.5],
    "a number": 0.5,
    "NumPy": np.zeros((2, 3, 16, 16)),
}
OTHER_SHAPES = {
    "one channel": pictures(2, 1, 16, 16),
    "one picture too many": pictures(3),
    "no batch": torch.rand(3, 16, 16),
    "another size": pictures(2, 3, 8, 8),
    "a single row": pictures(1),
}
NO_LEVEL = {
    "None": None,
    "a word": "5",
    "a float": 250.0,
    "half": 2.5,
    "True": True,
    "negative": -1,
    "too high": 501,
    "a float tensor": torch.tensor([5.0, 6.0]),
    "a mask": torch.tensor([True, False]),
    "too many": torch.tensor([1, 2, 3]),
    "one is too high": torch.tensor([1, 501]),
    "NaN": NAN,
}
NO_COUNT = {
    "None": None,
    "a word": "4",
    "half": 1.5,
    "True": True,
    "zero": 0,
    "negative": -3,
    "NaN": NAN,
    "infinite": INF,
    "a list": [4],
}
NO_SHARE = {
    "None": None,
    "a word": "0.5",
    "True": True,
    "negative": -0.1,
    "above 1": 1.5,
    "NaN": NAN,
}
NO_GUIDANCE = {
    "a word": "2",
    "True": True,
    "NaN": NAN,
    "infinite": INF,
    "a list": [2.0],
    "None": None,
}
NO_CONTEXT = {
    "a word": "hero",
    "too few rows": torch.zeros(1, 5),
    "too wide": torch.zeros(2, 6),
    "NaN": torch.full((2, 5), NAN),
    "one row of numbers": torch.zeros(5),
    "a ragged list": [[1.0], [1.0, 2.0]],
    "None inside": [[None] * 5] * 2,
}
NO_SAVE_RATE = {"True": True, "zero": 0, "half": 2.5, "a word": "all", "negative": -1}
NO_SEED = {"a word": "one", "half": 1.5, "True": True, "a list": [1]}
NO_MODEL = {
    "a word": "model_trained",
    "a state_dict": {},
    "gives None": lambda x, t, c: None,
    "gives NaN": lambda x, t, c: x * NAN,
    "gives one row": lambda x, t, c: x[:1],
    "gives NumPy": lambda x, t, c: x.numpy(),
}
NO_FILE = {"None": None, "a number": 3, "empty": "", "missing": "nowhere/there_is_nothing"}

X, NOISE = pictures(), pictures()
SHORT = du.linear_schedule(8, 0.01, 0.2)
SAMPLER = {"model": lambda x, t, c: x * 0, "schedule": SHORT, "progress": False}


def rows(name, call, right, bad):
    """(name, the call with one argument replaced), for each argument in ``bad`` and each of its values."""
    for argument, values in bad.items():
        for what, value in values.items():
            given = {**right, argument: value}
            yield pytest.param(lambda call=call, given=given: call(**given), id=f"{name}({argument}: {what})")


def formulas():
    tensors = NO_TENSOR | OTHER_SHAPES
    level = {key: value for key, value in NO_LEVEL.items()}
    one_level = NO_LEVEL | {"two levels": torch.tensor([5, 6])}
    yield from rows(
        "perturb_input",
        du.perturb_input,
        {"x": X, "t": 5, "noise": NOISE},
        {"x": NO_TENSOR, "noise": tensors, "t": level},
    )
    for name, second in (("predict_x0", "pred_noise"), ("noise_from_x0", "x0_pred")):
        yield from rows(name, getattr(du, name), {"x": X, "t": 5, second: NOISE}, {second: tensors, "t": level})
    yield from rows(
        "denoise_add_noise",
        du.denoise_add_noise,
        {"x": X, "t": 5, "pred_noise": NOISE},
        {
            "pred_noise": tensors,
            "t": one_level | {"zero": 0},
            "z": OTHER_SHAPES | {"a word": "none"},
        },
    )
    ddim = {"x": X, "t": 5, "t_prev": 2, "pred_noise": NOISE}
    yield from rows(
        "denoise_ddim",
        du.denoise_ddim,
        ddim,
        {
            "pred_noise": tensors,
            "t": one_level,
            "t_prev": one_level | {"up": 6, "equal": 5},
            "eta": NO_SHARE,
            "z": OTHER_SHAPES,
        },
    )
    dpm = {"x": X, "t": 5, "t_prev": 2, "x0_pred": NOISE}
    befores = {
        "at the same level": (5, NOISE),
        "below": (3, NOISE),
        "another shape": (9, pictures(3)),
        "None in it": (9, None),
    }
    yield from rows(
        "denoise_dpm",
        du.denoise_dpm,
        dpm,
        {
            "x0_pred": tensors,
            "t": one_level,
            "before": befores,
            "eta": {k: v for k, v in NO_SHARE.items() if k != "above 1"},
        },
    )
    yield from rows("denoise_dpm to 0", du.denoise_dpm, dpm | {"t_prev": 0}, {"x0_pred": tensors})
    yield from rows(
        "guided_noise",
        du.guided_noise,
        {"pred_cond": X, "pred_uncond": NOISE, "guidance": 2.0},
        {"pred_uncond": tensors},
    )


def schedules():
    yield from rows(
        "linear_schedule",
        du.linear_schedule,
        {},
        {
            "timesteps": NO_COUNT | {"far too many": 10**9},
            "beta1": {
                "zero": 0.0,
                "negative": -1e-4,
                "NaN": NAN,
                "above beta2": 0.5,
                "a word": "1e-4",
                "None": None,
            },
            "beta2": {"one": 1.0, "NaN": NAN, "infinite": INF, "a word": "0.02"},
        },
    )
    tables = {"b_t": SHORT.b_t, "a_t": SHORT.a_t, "ab_t": SHORT.ab_t}
    yield from rows(
        "NoiseSchedule",
        du.NoiseSchedule,
        tables,
        {
            "b_t": {
                "None": None,
                "a list": [0.0, 0.1],
                "NumPy": SHORT.b_t.numpy(),
                "too short": SHORT.b_t[1:],
                "NaN": SHORT.b_t * NAN,
            },
            "ab_t": {
                "all ones": torch.ones(9),
                "rising": SHORT.ab_t.flip(0),
                "not the product": SHORT.ab_t**2,
            },
        },
    )
    yield from rows(
        "from_betas",
        du.NoiseSchedule.from_betas,
        {},
        {
            "betas": {
                "None": None,
                "a list": [0.1, 0.2],
                "a word": "linear",
                "NaN": torch.tensor([0.1, NAN]),
                "negative": torch.tensor([0.1, -0.1]),
                "above 1": torch.tensor([1.5]),
                "none": torch.tensor([]),
                "a matrix": torch.full((2, 2), 0.1),
                "one number": torch.tensor(0.1),
            }
        },
    )


def networks():
    yield from rows(
        "ContextUnet",
        du.ContextUnet,
        {"in_channels": 3, "n_feat": 8, "n_cfeat": 5, "height": 16},
        {
            name: NO_COUNT | more
            for name, more in {
                "in_channels": {},
                "n_feat": {"no multiple of 8": 12},
                "n_cfeat": {},
                "height": {"no multiple of 4": 18},
            }.items()
        },
    )
    times = {
        "the level itself": 500,
        "negative": -1,
        "NaN": NAN,
        "too many": torch.tensor([0.1, 0.2, 0.3]),
        "levels": torch.tensor([5, 6]),
        "one of two is a level": torch.tensor([0.5, 250.0]),
        "None": None,
        "a word": "0.5",
    }
    contexts = NO_CONTEXT | {
        "one for all": torch.zeros(1, 5),
        "NumPy": np.zeros((2, 5)),
        "a list": [[0.0] * 5] * 2,
    }
    contexts.pop("NaN")
    others = {k: v for k, v in OTHER_SHAPES.items() if k not in ("one picture too many", "a single row")}
    yield from rows(
        "ContextUnet.forward",
        network(),
        {"x": X, "t": 0.5, "c": None},
        {"x": NO_TENSOR | others, "t": times, "c": contexts},
    )
    state = network().state_dict()
    key = "out.0.bias"
    yield from rows(
        "load_state_dict",
        network().load_state_dict,
        {},
        {
            "state_dict": {
                "None": None,
                "a word": "model_trained.pth",
                "a list": [1],
                "no tensors": {"a": 1},
                "empty": {},
                "one missing": {k: v for k, v in state.items() if k != key},
                "one too many": state | {"extra": torch.zeros(1)},
                "NaN": state | {key: state[key] * NAN},
                "another shape": state | {key: torch.zeros(3)},
                "another network": du.ContextUnet(3, 16, 5, 16).state_dict(),
            }
        },
    )
    yield from rows(
        "load_pretrained",
        du.load_pretrained,
        {},
        {"name_or_path": NO_FILE | {"a name": "model_best"}},
    )
    yield from rows(
        "ema_update",
        du.ema_update,
        {"ema_model": network(), "model": network(), "decay": 0.9},
        {
            "decay": NO_SHARE,
            "model": {"another size": du.ContextUnet(3, 16, 5, 16), "None": None},
        },
    )


def samplers():
    bad = {"n_sample": NO_COUNT, "save_rate": NO_SAVE_RATE, "seed": NO_SEED, "model": NO_MODEL}
    steps = {k: v for k, v in NO_COUNT.items() if v is not None} | {"too many": 9}  # None is all T
    for name in ("ddpm", "ddpm_incorrect"):
        yield from rows(f"sample_{name}", getattr(du, f"sample_{name}"), {"n_sample": 2, **SAMPLER}, bad)
    for name, etas in (
        ("ddim", NO_SHARE),
        ("dpm", {k: v for k, v in NO_SHARE.items() if k != "above 1"}),
    ):
        yield from rows(
            f"sample_{name}",
            getattr(du, f"sample_{name}"),
            {"n_sample": 2, "n": 3, **SAMPLER},
            bad | {"n": steps, "eta": etas},
        )
    for name in ("ddpm", "ddim", "dpm"):
        right = {"n_sample": 2, "context": torch.zeros(2, 5), **SAMPLER} | ({} if name == "ddpm" else {"n": 3})
        right["model"] = network()
        yield from rows(
            f"sample_{name}_context",
            getattr(du, f"sample_{name}_context"),
            right,
            {"context": NO_CONTEXT, "guidance": NO_GUIDANCE},
        )
    yield from rows(
        "step_pairs",
        du.step_pairs,
        {"n": 5},
        {
            "n": NO_COUNT | {"too many": 501},
            "start": {k: v for k, v in NO_COUNT.items() if v is not None} | {"too high": 501},
        },
    )
    for name in ("ddim_step", "dpm_step"):
        etas = {k: v for k, v in NO_SHARE.items() if k != "above 1"}
        yield from rows(name, getattr(du, name), {}, {"eta": etas})
    yield from rows(
        "Guided",
        du.Guided,
        {"model": network(), "guidance": 2.0},
        {"guidance": NO_GUIDANCE, "model": {"None": None, "a word": "model"}},
    )
    yield from rows(
        "Autoguided",
        du.Autoguided,
        {"model": network(), "worse": network(), "guidance": 2.0},
        {
            "guidance": NO_GUIDANCE,
            "model": {"None": None},
            "worse": {"None": None, "a word": "model_4"},
            "levels": {
                "high to low": (3, 2),
                "negative": (-1, 5),
                "NaN": (NAN, 5),
                "one": (3,),
                "None": None,
                "a number": 5,
            },
        },
    )
    yield from rows("Clipped", du.Clipped, {}, {"model": {"None": None, "a word": "model"}})


def data():
    yield from rows(
        "transform",
        du.transform,
        {},
        {
            "sprite": {
                "None": None,
                "a float sprite": SPRITES[0] / 255,
                "grey": SPRITES[0, ..., 0],
                "a batch": SPRITES,
                "channels first": SPRITES[0].transpose(2, 0, 1),
                "a list": SPRITES[0].tolist(),
            }
        },
    )
    yield from rows(
        "sprite_tensors",
        du.sprite_tensors,
        {"sprites": SPRITES, "labels": LABELS},
        {
            "sprites": {
                "None": None,
                "floats": SPRITES / 255,
                "one channel": SPRITES[..., :1],
                "one sprite": SPRITES[0],
                "too few": SPRITES[:3],
                "a list": SPRITES.tolist(),
                "16 bits": SPRITES.astype(np.uint16),
            },
            "labels": {
                "None": None,
                "NaN": LABELS * NAN,
                "too few": LABELS[:2],
                "words": np.array(["hero"] * 6),
                "a column": LABELS[:, 0],
                "infinite": LABELS + INF,
            },
        },
    )
    yield from rows(
        "augment",
        du.augment,
        {"images": X},
        {
            "images": NO_TENSOR
            | {
                "one channel": pictures(2, 1, 16, 16),
                "no batch": torch.rand(3, 16, 16),
                "bytes": (X * 100).to(torch.uint8),
            },
            "hue": {"NaN": NAN, "negative": -0.1, "a word": "red"},
        },
    )
    images, labels = pictures(6), torch.zeros(6, 5)
    yield from rows(
        "sprite_batches",
        lambda **given: next(du.sprite_batches(**given)),
        {"images": images, "labels": labels, "batch_size": 2},
        {
            "batch_size": NO_COUNT | {"too many": 7},
            "labels": {"too few": labels[:2], "None": None},
            "images": NO_TENSOR,
        },
    )
    yield from rows("load_sprites", du.load_sprites, {"lfilename": "labels.npy"}, {"sfilename": NO_FILE})
    yield from rows(
        "CustomDataset",
        du.CustomDataset,
        {"lfilename": "labels.npy", "transform": None},
        {"sfilename": NO_FILE},
    )


def shown():
    no_pictures = NO_TENSOR | {
        "NaN": X * NAN,
        "infinite": X + INF,
        "none": pictures(0),
        "no batch": torch.rand(3, 16, 16),
        "two channels": pictures(2, 2, 16, 16),
        "bytes": (X * 100).to(torch.uint8),
    }
    no_pictures.pop("NumPy")
    yield from rows(
        "mosaic",
        du.mosaic,
        {"x": X, "n_rows": 1},
        {"x": no_pictures, "n_rows": NO_COUNT, "scale": NO_COUNT},
    )
    yield from rows("show_images", du.show_images, {"imgs": X}, {"imgs": no_pictures, "n_rows": NO_COUNT})
    yield from rows(
        "to_unit",
        du.to_unit,
        {},
        {
            "x": {
                "None": None,
                "bytes": SPRITES,
                "a word": "x",
                "a number": 0.5,
                "too flat": np.zeros((3, 3)),
            }
        },
    )
    frames = np.zeros((3, 2, 3, 16, 16), np.float32)
    no_frames = {
        "None": None,
        "a word": "x",
        "one frame": frames[0],
        "NaN": frames * NAN,
        "no frames": frames[:0],
        "samples": X,
    }
    yield from rows(
        "plot_sample",
        du.plot_sample,
        {"x_gen_store": frames, "n_sample": 2, "nrows": 1, "save_dir": "x", "fn": "y", "w": 1},
        {"x_gen_store": no_frames, "nrows": NO_COUNT, "n_sample": NO_COUNT},
    )
    runs = {
        "none": {},
        "None": None,
        "of other lengths": {"a": frames, "b": frames[:2]},
        "a list": [frames],
        "a word": "ddpm",
    }
    for name in ("compare_samples", "film_strip"):
        yield from rows(
            name,
            getattr(du, name),
            {},
            {"runs": runs | {f"one is {k}": {"a": v} for k, v in no_frames.items()}},
        )
    yield from rows(
        "film_strip",
        du.film_strip,
        {"runs": {"a": frames}},
        {"sample": {"too high": 2, "negative": -3, "a word": "0"}, "n_frames": NO_COUNT},
    )
    yield from rows("gen_tst_context", du.gen_tst_context, {}, {"n_cfeat": NO_COUNT})
    yield from rows("norm_torch", du.norm_torch, {}, {"x_all": {"None": None, "NaN": X * NAN, "flat": X[0]}})
    yield from rows("unorm", du.unorm, {}, {"x": {"None": None, "a list": [1, 2], "flat": np.zeros(4)}})


def measures():
    torch.manual_seed(0)
    classifier = du.SpriteClassifier(5, 7, width=8).eval()
    no_set = {k: v for k, v in NO_TENSOR.items()} | {
        "none": pictures(0),
        "NaN": pictures(6) * NAN,
        "no batch": torch.rand(3, 16, 16),
    }
    both = {"samples": pictures(6), "reference": pictures(6), "classifier": classifier}
    for name, few in (("frechet_sprite_distance", 1), ("precision_recall", 3)):
        yield from rows(
            name,
            getattr(du, name),
            both,
            {
                "samples": no_set
                | {
                    "too few": pictures(few),
                    "another size": pictures(6, 3, 8, 8),
                    "one channel": pictures(6, 1, 16, 16),
                },
                "reference": {"NaN": pictures(6) * NAN, "none": pictures(0)},
            },
        )
    yield from rows("precision_recall", du.precision_recall, both, {"k": NO_COUNT | {"too many": 6}})
    context = torch.from_numpy(LABELS)
    yield from rows(
        "class_accuracy",
        du.class_accuracy,
        {"samples": pictures(6), "context": context, "classifier": classifier},
        {
            "samples": no_set,
            "context": {
                "None": None,
                "two columns": torch.zeros(6, 2),
                "mixed": context * 0.6,
                "none": torch.zeros(6, 5),
                "two classes": torch.ones(6, 5),
                "too few": context[:2],
                "NaN": context * NAN,
                "names": ["hero"] * 6,
                "class numbers": torch.arange(6),
            },
        },
    )
    white = torch.ones(6, 3, 16, 16)
    yield from rows(
        "background_error",
        du.background_error,
        {"samples": pictures(6), "sprites": white},
        {
            "samples": no_set | {"another size": pictures(6, 3, 8, 8)},
            "sprites": {"no white": -white},
        },
    )
    yield from rows(
        "nearest_sprite",
        du.nearest_sprite,
        {"samples": pictures(6), "sprites": white},
        {
            "samples": no_set | {"another size": pictures(6, 3, 8, 8)},
            "sprites": {"none": pictures(0)},
        },
    )


TABLE = [row for part in (formulas, schedules, networks, samplers, data, shown, measures) for row in part()]


def test_the_table_is_long_enough():
    assert len(TABLE) >= 300


@pytest.mark.parametrize("call", TABLE)
def test_a_mistake_is_named(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # with NaN it may end the whole process, and it should not be reached
    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", None)
    with pytest.raises((ValueError, FileNotFoundError)) as refusal:
        call()
    message = str(refusal.value)
    assert CLEAR.search(message) and len(message) < 400, message
    last = refusal.traceback[-1].path
    assert str(last).startswith(str(files.ROOT)) and ".venv" not in str(last), f"raised inside {last}"


# ------------------------------------------------------------------ unusual, and right all the same


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (
            lambda: du.transform(SPRITES[0, :, ::-1]),
            lambda: du.transform(SPRITES[0, :, ::-1].copy()),
        ),
        (
            lambda: du.sprite_tensors(SPRITES[:, :, ::-1], LABELS)[0],
            lambda: du.sprite_tensors(SPRITES[:, :, ::-1].copy(), LABELS)[0],
        ),
        (lambda: du.sprite_tensors(SPRITES, LABELS > 0)[1], lambda: torch.from_numpy(LABELS)),
        (
            lambda: du.perturb_input(X, torch.tensor([5, 9], dtype=torch.uint8), NOISE),
            lambda: du.perturb_input(X, torch.tensor([5, 9]), NOISE),
        ),
        (
            lambda: du.perturb_input(X, torch.tensor([5, 9], dtype=torch.int16), NOISE),
            lambda: du.perturb_input(X, torch.tensor([5, 9]), NOISE),
        ),
        (
            lambda: du.perturb_input(X, [5, 9], NOISE),
            lambda: du.perturb_input(X, torch.tensor([5, 9]), NOISE),
        ),
        (lambda: du.perturb_input(X, np.int64(5), NOISE), lambda: du.perturb_input(X, 5, NOISE)),
        (
            lambda: du.denoise_add_noise(X, torch.tensor(5), NOISE, 0),
            lambda: du.denoise_add_noise(X, 5, NOISE, 0),
        ),
        (
            lambda: du.denoise_ddim(X, np.int64(5), torch.tensor([2]), NOISE),
            lambda: du.denoise_ddim(X, 5, 2, NOISE),
        ),
        (
            lambda: du.sample_ddim(2, np.int64(3), seed=np.int32(1), **SAMPLER)[0],
            lambda: du.sample_ddim(2, 3, seed=1, **SAMPLER)[0],
        ),
        (
            lambda: du.sample_ddim_context(2, [[0, 1, 0, 0, 0]] * 2, 3, seed=1, **SAMPLER | {"model": network()})[0],
            lambda: du.sample_ddim_context(2, torch.eye(5)[[1, 1]], 3, seed=1, **SAMPLER | {"model": network()})[0],
        ),
        (lambda: network()(X, 1, None), lambda: network()(X, torch.tensor(1.0), None)),
        (
            lambda: torch.from_numpy(du.mosaic(X.numpy(), 1)),
            lambda: torch.from_numpy(du.mosaic(X, 1)),
        ),
    ],
    ids=[
        "mirrored view",
        "mirrored sprites",
        "labels as bools",
        "levels of 8 bits",
        "levels of 16 bits",
        "a list of levels",
        "a level of NumPy",
        "a level as a tensor",
        "levels of all kinds",
        "counts of NumPy",
        "a context as a list",
        "t = 1 as an int",
        "a NumPy mosaic",
    ],
)
@torch.no_grad()
def test_what_is_unusual_gives_the_right_answer(got, expected):
    assert torch.equal(got(), expected())
