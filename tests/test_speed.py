"""What makes things fast must not change what comes out: batches, the runtime, recorded kernels, the import."""

import builtins
import contextlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from support import speed
from support.speed import Recorded, largest_batch

ROOT = Path(__file__).resolve().parent.parent

# ----------------------------------------------------------------------------------- large requests


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("height", [4, 16, 20, 64, 1024])
def test_a_batch_has_no_more_pixels_than_fit(device, height):
    size = largest_batch(torch.device(device), height)
    pixels = 16**2 * {"cpu": 128, "cuda": 4096}[device]
    assert size == 1 or size * height**2 <= pixels < (size + 1) * height**2


SAMPLERS = {
    "ddpm": (du.sample_ddpm_context, {}),
    "ddim": (du.sample_ddim_context, {"n": 3, "eta": 0.5}),
    "dpm": (du.sample_dpm_context, {"n": 4, "eta": 1.0}),
}


@pytest.mark.parametrize("guidance", [0, 1, 2])
@pytest.mark.parametrize("context", [None, torch.eye(5)], ids=["no context", "context"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_cutting_a_request_into_batches_changes_nothing(name, context, guidance, tiny_model, monkeypatch):
    sample, options = SAMPLERS[name]
    options |= {
        "schedule": du.linear_schedule(10, 0.01, 0.2),
        "model": tiny_model,
        "progress": False,
        "seed": 3,
    }
    samples, frames = sample(5, context, save_rate=3, guidance=guidance, **options)
    monkeypatch.setattr(du, "largest_batch", lambda device, height: 2)
    cut, cut_frames = sample(5, context, save_rate=3, guidance=guidance, **options)
    torch.testing.assert_close(cut, samples, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cut_frames, frames, rtol=1e-4, atol=1e-4)


def test_no_batch_is_larger_than_may_be_and_each_has_its_contexts(make_recorder, monkeypatch):
    sizes = []
    model = make_recorder(lambda x, t, c: sizes.append((len(x), len(c))) or torch.zeros_like(x))
    monkeypatch.setattr(du, "largest_batch", lambda device, height: 2)
    context = torch.rand(5, 5)
    du.sample_ddim_context(5, context, 3, model=model, progress=False)
    assert sizes == [(2, 2), (2, 2), (1, 1)] * 3
    assert torch.equal(torch.cat(model.contexts[:3]), context)


# -------------------------------------------------------------------------- which networks, and how


class Slow(torch.nn.Module):
    """Any network that says how to be computed faster: by ``fast``."""

    in_channels, n_cfeat, height = 3, 5, 16

    def __init__(self, fast):
        super().__init__()
        self.fast = fast

    def forward(self, x, t, c=None):
        raise AssertionError("this is not the fast one")

    def for_sampling(self):
        return self.fast


def test_any_network_may_say_how_it_is_computed_faster(make_recorder):
    fast = make_recorder()
    assert du.faster(Slow(fast)) is fast
    samples, _ = du.sample_ddim(2, 3, model=Slow(fast), progress=False)
    assert samples.shape == (2, 3, 16, 16) and len(fast.times) == 3


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: du.Guided(model, 2.0),
        lambda model: du.Clipped(model),
        lambda model: du.Autoguided(model, model, 2.0),
        lambda model: du.Clipped(du.Guided(model, 2.0)),
    ],
    ids=["guided", "clipped", "autoguided", "clipped and guided"],
)
def test_wrappers_ask_the_network_inside(wrap, make_recorder):
    x, c = torch.randn(2, 3, 16, 16), torch.eye(5)[:2]
    slow = wrap(Slow(make_recorder(lambda x, t, c: x * (0.5 if c is None else 0.7))))
    fast = du.faster(slow)
    assert torch.equal(fast(x, 0.5, c), wrap(lambda x, t, c: x * (0.5 if c is None else 0.7))(x, 0.5, c))
    assert (fast.in_channels, fast.n_cfeat, fast.height) == (3, 5, 16)
    with pytest.raises(AssertionError, match="not the fast one"):  # left as it was
        slow(x, 0.5, c)


@torch.no_grad()
def test_the_network_with_attention_has_a_fast_copy():
    from going_further.unet import UNet

    model = UNet(3, 3, dim=16, n_classes=5).train()
    torch.nn.init.normal_(model.out[2].weight)  # fresh, it answers zero
    fast = du.faster(model)
    assert fast is not model and not fast.training and model.training
    x, c = torch.randn(2, 3, 16, 16), torch.rand(2, 5)
    expected = model.eval()(x, 0.5, c)
    torch.testing.assert_close(fast(x, torch.tensor(0.5), c), expected, rtol=1e-4, atol=1e-4)
    assert fast.init_conv.weight.is_contiguous(memory_format=torch.channels_last)


# ----------------------------------------------------------------------------------------- OpenVINO


@pytest.mark.parametrize("n_sample", [1, 3])
def test_openvino_computes_the_same(n_sample, make_model):
    model, context = make_model(16), torch.rand(n_sample, 5)
    fast, x = du.OpenvinoUnet(model), torch.randn(n_sample, 3, 16, 16)
    for t in (0.002, 1.0):
        torch.testing.assert_close(fast(x, t, context), model(x, t, context), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fast(x, torch.tensor(0.5)), model(x, 0.5), rtol=1e-4, atol=1e-4)


def test_sampling_by_openvino_gives_the_same_sprites(make_model):
    model, context = make_model(16), torch.eye(5)[:2]
    options = {"n": 5, "guidance": 2, "seed": 0, "progress": False}
    ours, frames = du.sample_ddim_context(2, context, model=model, **options)
    theirs, their_frames = du.sample_ddim_context(2, context, model=du.OpenvinoUnet(model), **options)
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(their_frames, frames, rtol=1e-3, atol=1e-3)


def test_openvino_takes_other_sizes_and_leaves_the_network_alone(make_model):
    model = make_model(8, n_cfeat=2, height=32).train()
    samples, _ = du.sample_ddim(2, 2, model=du.OpenvinoUnet(model), progress=False)
    assert samples.shape == (2, 3, 32, 32) and model.training


def test_openvino_in_sixteen_bits_is_close(make_model):
    model, x = make_model(16), torch.randn(4, 3, 16, 16)
    exact = model(x, 0.5)
    off = (du.OpenvinoUnet(model, bf16=True)(x, 0.5) - exact).abs().max() / exact.std()
    assert off < 0.1


def test_openvino_can_be_prepared_within_autocast(make_model):
    model, x = make_model(16), torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        fast = du.OpenvinoUnet(model)
    torch.testing.assert_close(fast(x, 0.5), model(x, 0.5), rtol=1e-4, atol=1e-4)


def test_openvino_reports_nothing_to_anybody(make_model):
    du.OpenvinoUnet(make_model())
    from openvino.tools.ovc import telemetry_utils

    assert telemetry_utils.tm.__name__.endswith("telemetry_stub")


def test_without_openvino_the_error_says_what_to_install(make_model, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("openvino"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install openvino"):
        du.OpenvinoUnet(make_model())


# --------------------------------------------------------------------------------------------- bf16


@pytest.fixture
def convolutions_take(monkeypatch):
    """Set how many seconds each convolution takes from now on: ``convolutions_take(seconds_by_bf16)``."""

    def take(seconds):
        clock = [0.0]

        def conv2d(x, weight, padding):
            clock[0] += next(seconds[torch.is_autocast_enabled("cpu")])
            return x

        monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
        monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])

    return take


@pytest.mark.parametrize(("seconds", "faster"), [(0.5, True), (0.79, True), (0.81, False), (100, False)])
def test_bf16_is_taken_only_where_it_is_clearly_faster(seconds, faster, convolutions_take):
    convolutions_take({True: itertools.repeat(seconds), False: itertools.repeat(1)})
    assert du.bf16_is_faster.__wrapped__(torch.device("cpu")) is faster


@pytest.mark.parametrize("busy", [True, False], ids=["in bf16", "in 32 bits"])
def test_a_busy_moment_does_not_decide_about_bf16(busy, convolutions_take):
    seconds = {True: itertools.repeat(0.5), False: itertools.repeat(0.5)}
    seconds[busy] = itertools.chain([50] * 8, itertools.repeat(0.5))
    convolutions_take(seconds)
    assert not du.bf16_is_faster.__wrapped__(torch.device("cpu"))


def test_trying_out_bf16_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    assert du.bf16_is_faster.__wrapped__(torch.device("cpu")) in (True, False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_gpu_without_bf16_is_not_asked_to_try_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert du.bf16_is_faster.__wrapped__("cuda") is False


# --------------------------------------------------------------------------------- recorded kernels


class FakeGraph:
    """A CUDA graph that notes calls in place of kernels: ``replay`` runs them again on the same memory."""

    recording = None

    def __init__(self):
        self.calls = []

    def replay(self):
        for network, inputs, output in self.calls:
            output.copy_(network(*inputs))


@pytest.fixture
def fake_cuda(monkeypatch):
    """torch.cuda as far as recording needs it, and a wrapper of networks that takes part in it."""

    @contextlib.contextmanager
    def record(graph, stream):
        FakeGraph.recording = graph
        yield
        FakeGraph.recording = None

    class Stream:
        def wait_stream(self, other):
            pass

    class Recordable(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network, self.calls = network, 0
            self.in_channels, self.n_cfeat, self.height = (
                network.in_channels,
                network.n_cfeat,
                network.height,
            )

        def forward(self, x, t, c):
            self.calls += 1
            output = self.network(x, t, c)
            if FakeGraph.recording is not None:
                FakeGraph.recording.calls.append((self.network, (x, t, c), output))
            return output

    for name, value in {
        "CUDAGraph": FakeGraph,
        "graph": record,
        "Stream": Stream,
        "current_stream": Stream,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    for name in ("stream", "device"):
        monkeypatch.setattr(torch.cuda, name, contextlib.nullcontext)
    return Recordable


@torch.no_grad()
def test_a_recorded_network_computes_the_same_for_every_input(fake_cuda, tiny_model):
    network = fake_cuda(tiny_model)
    recorded = Recorded(network)
    for n in (2, 3, 2):
        for t in (0.1, 0.9):
            x, t, c = torch.randn(n, 3, 16, 16), torch.tensor(t), torch.rand(n, 5)
            torch.testing.assert_close(recorded(x, t, c), tiny_model(x, t, c))
            torch.testing.assert_close(recorded(x, t), tiny_model(x, t))
    # three first passes and a recorded one for each of two shapes, then only replays
    assert network.calls == 2 * 4


@torch.no_grad()
def test_what_a_recorded_network_gave_stays_as_it_was(fake_cuda, tiny_model):
    recorded, x = Recorded(fake_cuda(tiny_model)), torch.randn(2, 3, 16, 16)
    first = recorded(x, torch.tensor(0.5))
    before = first.clone()
    recorded(-x, torch.tensor(0.1))
    assert torch.equal(first, before)


@torch.no_grad()
@pytest.mark.parametrize("how", ["raises", "wrong", "nothing"])
def test_where_recording_fails_the_network_itself_is_called(how, fake_cuda, tiny_model, monkeypatch):
    def replay(graph):
        if how == "raises":
            raise RuntimeError("operation not permitted when stream is capturing")
        if how == "wrong":
            graph.calls[0][2].fill_(0.1)

    monkeypatch.setattr(FakeGraph, "replay", replay)
    recorded, x = Recorded(fake_cuda(tiny_model)), torch.randn(2, 3, 16, 16)
    for t in (torch.tensor(0.5), torch.tensor(0.1)):
        torch.testing.assert_close(recorded(x, t), tiny_model(x, t))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_recorded_network_is_used_and_agrees(make_model):
    model = make_model(16).cuda()
    fast = du.faster(model)
    x, t = torch.randn(4, 3, 16, 16, device="cuda"), torch.tensor(0.5, device="cuda")
    with torch.no_grad():
        torch.testing.assert_close(fast(x, t), model(x, t), rtol=1e-3, atol=1e-3)
        assert all(graph is not None for graph in fast.graphs.values())
        for parameter in model.parameters():
            parameter.mul_(1.1)
        kept, fast = dict(fast.graphs), du.faster(model)
        assert fast.graphs == kept
        torch.testing.assert_close(fast(x, t), model(x, t), rtol=1e-3, atol=1e-3)
        assert fast.graphs == kept


# ------------------------------------------------------------------------------------------- import


def test_importing_the_module_loads_nothing_large_that_a_lab_may_not_use():
    code = "import sys, diffusion_utilities; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    large = {
        "torchvision",
        "torchmetrics",
        "torch._dynamo",
        "scipy",
        "openvino",
        "IPython",
        "pandas",
    }
    assert not large & set(loaded.split())
