"""Checkpoints: what comes back, and what is said about files that are none."""

import io
import zipfile

import pytest
import torch

import diffusion_utilities as du
from going_further import checkpoints
from going_further.predictions import OBJECTIVES
from going_further.unet import UNet

UNET = {
    "in_channels": 1,
    "out_channels": 1,
    "dim": 8,
    "dim_mults": [1, 2],
    "attns": [False, True],
    "n_blocks": 1,
    "groups": 8,
    "n_classes": 3,
    "height": 8,
}


def make_state():
    model, ema = UNet(**UNET), UNet(**UNET)
    config = {
        "dataset": "mnist",
        "image_size": 8,
        "timesteps": 20,
        "schedule": "cosine",
        "class_names": list("abc"),
    }
    config |= {"unet": UNET, "training": {"epochs": 2}}
    optimizer = torch.optim.Adam(model.parameters())
    return {
        "config": config,
        "model": model.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": 3,
        "epoch": 1,
        "losses": [(0.5, 0.6)],
    }


@pytest.fixture
def saved(tmp_path):
    state = make_state()
    du.save_weights(state, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt", state


def check_weights(net, state):
    assert net.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_what_was_saved_comes_back(saved):
    path, state = saved
    net, schedule, config = checkpoints.load_model(path, "cpu")
    check_weights(net, state["ema"])
    assert not net.training and not any(module.training for module in net.modules())
    assert config == state["config"]
    assert schedule.timesteps == 20
    # the cosine's, where the linear one is at 0.95
    assert schedule.ab_t[10] == pytest.approx(0.4925, abs=0.01)
    assert net(torch.zeros(2, 1, 8, 8), 0.5, torch.eye(3)[:2]).shape == (2, 1, 8, 8)


def test_weights_of_the_last_step_on_request(saved):
    path, state = saved
    check_weights(checkpoints.load_model(str(path), "cpu", ema=False)[0], state["model"])


def test_stripped_checkpoint_is_smaller_and_loads_the_same(saved, tmp_path):
    path, state = saved
    checkpoints.strip(path, tmp_path / "model.pt")
    assert (tmp_path / "model.pt").stat().st_size < 0.6 * path.stat().st_size
    net, _, config = checkpoints.load_model(tmp_path / "model.pt", "cpu")
    check_weights(net, state["ema"])
    assert config == state["config"]
    with pytest.raises(ValueError, match=r"model\.pt holds the averaged weights only"):
        checkpoints.load_model(tmp_path / "model.pt", ema=False)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nope\.pt"):
        checkpoints.load_model(tmp_path / "nope.pt")


@pytest.mark.parametrize("objective", ["x0", "v", "flow"])
def test_a_network_that_answers_with_something_else_comes_as_a_model_of_noise(tmp_path, objective):
    state = make_state()
    state["config"] |= {"objective": objective, "schedule": "straight"}
    torch.save(state, tmp_path / "other.pt")
    net, schedule, _ = checkpoints.load_model(tmp_path / "other.pt", "cpu")
    assert isinstance(net, OBJECTIVES[objective]) and net.predicts == objective
    assert net.schedule is schedule and schedule.ends_at_zero and not net.training


def test_an_answer_that_is_not_known(tmp_path):
    state = make_state()
    state["config"] |= {"objective": "score"}
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(
        ValueError, match="expected an objective out of noise, x0, v, flow, edm in its config, got 'score'"
    ):
        checkpoints.load_model(tmp_path / "other.pt")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_file_that_was_cut_off(saved, share):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is not a complete PyTorch checkpoint.*$"):
        checkpoints.load_model(path)


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"config": Trap(tmp_path / "trapped")}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="holds more than tensors") as refusal:
        checkpoints.load_model(tmp_path / "trap.pt")
    # PyTorch's own message advises to load it unsafely
    assert "weights_only" not in str(refusal.value)
    assert not (tmp_path / "trapped").exists()


def flipped(content):
    """One bit of a tensor is another. (Between the tensors lies padding, which nothing reads.)"""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        weights = max((archive.read(name) for name in archive.namelist()), key=len)
    place = content.index(weights) + len(weights) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flipped, "the checksum of .* is wrong"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
    ids=["one bit", "pointer"],
)
def test_file_that_was_damaged(saved, change, message):
    path, _ = saved
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as info:
        checkpoints.load_model(path)
    assert "\n" not in str(info.value)


def test_the_stored_network_loads_and_samples():
    net, schedule, config = checkpoints.load_model(du.ROOT / "going_further" / "sprites_unet.pt", "cpu")
    assert config["class_names"] == list(du.CLASS_NAMES) and "recipe" not in config
    options = {"model": du.Clipped(net, schedule), "schedule": schedule, "progress": False}
    samples, _ = du.sample_dpm_context(2, torch.eye(5)[:2], 3, seed=0, **options)
    assert samples.shape == (2, 3, 16, 16) and samples.std() > 0.3


@pytest.mark.parametrize("content", ["weights", [1, 2], {"config": 5}, {"config": {"unet": {}}, "ema": {}}])
def test_file_of_another_program(tmp_path, content):
    if content == "weights":
        content = UNet(**UNET).state_dict()
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt was not made by going_further/train\.py"):
        checkpoints.load_model(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("unet", [1], "expected unet as dict"),
        ("timesteps", "500", "expected timesteps as int"),
        ("class_names", 3, "expected class_names as list"),
        ("class_names", [1, 2, 3], "expected class_names as words"),
        ("image_size", None, "expected image_size as int"),
        ("ema", [1, 2], "ema: expected a state_dict"),
        ("ema", {"init_conv.weight": 5}, "ema: expected a state_dict"),
        ("model", 7, "model: expected a state_dict"),
    ],
)
def test_contents_of_the_wrong_type(tmp_path, key, value, message):
    state = make_state()
    (state if key in state else state["config"])[key] = value
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=message) as info:
        checkpoints.read(tmp_path / "other.pt")
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": ["a", "b"]},
        {"image_size": 16},
        {"timesteps": 10**9},  # each of these would take gigabytes
        {"unet": UNET | {"dim": 2**17}},
        {"unet": UNET | {"n_blocks": 10**9}},
        {"schedule": "curved"},
        {"timesteps": -1},
        {"unet": UNET | {"dim": 16}},
        {"unet": UNET | {"heads": 4}},
    ],
)
def test_contents_that_do_not_fit(tmp_path, change):
    state = make_state()
    state["config"] |= change
    torch.save(state, tmp_path / "changed.pt")
    with pytest.raises(ValueError, match=r"changed\.pt does not fit this program: ") as info:
        checkpoints.load_model(tmp_path / "changed.pt")
    assert "\n" not in str(info.value)
