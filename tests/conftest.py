"""What all tests share: tiny networks, fake noise predictors, a clean slate before and after each test."""

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(1)  # the networks are tiny: threads would cost more than they bring

import matplotlib.pyplot as plt

import diffusion_utilities as du

pytest.register_assert_rewrite("tests.going_further.every_network")


@pytest.fixture(autouse=True)
def clean_slate():
    """Every test starts from the same random state and without figures, and leaves none behind."""
    torch.manual_seed(0)
    plt.close("all")
    yield
    plt.close("all")


def build_model(n_feat=8, n_cfeat=5, height=16, seed=0):
    """A small ContextUnet in evaluation mode in which no layer is at its neutral start values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = du.ContextUnet(3, n_feat, n_cfeat, height)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.GroupNorm):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.3)
            # fresh ones hardly react, and would hide a mix-up of time and context
            if isinstance(module, du.EmbedFC):
                for parameter in module.parameters():
                    parameter.data.mul_(4)
    return model.eval()


@pytest.fixture
def make_model():
    return build_model


@pytest.fixture
def tiny_model():
    return build_model()


class Recorder:
    """A noise predictor that notes how it is called and answers ``answer(x, t, c)``, by default zeros."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda x, t, c: torch.zeros_like(x))
        self.times, self.contexts = [], []

    def __call__(self, x, t, c):
        self.times.append(torch.as_tensor(t).clone())
        self.contexts.append(c)
        return self.answer(x, t, c)


@pytest.fixture
def make_recorder():
    return Recorder


@pytest.fixture
def betas64():
    """β_1 … β_500 of the default schedule in float64, made without the module."""
    return np.array([1e-4 + (0.02 - 1e-4) * i / 499 for i in range(500)])


@pytest.fixture
def tables64(betas64):
    """b_t, a_t, ab_t of the default schedule in float64, shape (501,), made without the module."""
    b_t = np.concatenate([[0.0], betas64])
    return b_t, 1 - b_t, np.cumprod(1 - b_t)


@pytest.fixture
def sprite_files(tmp_path):
    """Ten sprites of 16×16 and labels as the public course stores them (float64), one of them mixed."""
    rng = np.random.default_rng(0)
    sprites = rng.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    labels = np.eye(5)[np.arange(10) % 5]
    labels[3] = [0.6, 0, 0.4, 0, 0]
    np.save(tmp_path / "sprites.npy", sprites)
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path / "sprites.npy", tmp_path / "labels.npy", sprites, labels
