"""The module on a pretended GPU (pretended_gpu.py): no tensor is on the wrong device, and the numbers are the CPU's."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from tests.pretended_gpu import OnGpu, pretended_gpu

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU")


@pytest.fixture
def gpu():
    with pretended_gpu():
        yield torch.device("cuda:0")


# ------------------------------------------------------------------------------------- the pretence


def test_it_computes_and_refuses_what_a_gpu_refuses(gpu):
    x, y = torch.arange(3.0), torch.arange(3.0, device=gpu)
    assert y.is_cuda and y.device == gpu and not y.cpu().is_cuda and y.sum().item() == 3
    # a single number may be on the CPU
    assert torch.equal((2 * y + torch.tensor(1.0)).cpu(), 2 * x + 1)
    assert torch.equal(y[torch.tensor([0, 2])].cpu(), x[[0, 2]])
    for refused in (
        lambda: x + y,
        lambda: x[y.long()],
        lambda: torch.randn(2, device=gpu, generator=torch.Generator()),
    ):
        with pytest.raises(RuntimeError, match="cpu"):
            refused()
    with pytest.raises(TypeError, match=r"Tensor\.cpu\(\)"):
        np.asarray(y)
    y[1:] += 1  # through a view
    assert y.tolist() == [0, 2, 3]


def test_gradients_are_those_of_the_cpu(gpu):
    x, y = torch.arange(3.0, requires_grad=True), torch.arange(3.0, device=gpu, requires_grad=True)
    (x**2).sum().backward()
    (y**2).cpu().sum().backward()
    assert y.grad.is_cuda and torch.equal(y.grad.cpu(), x.grad)


@pytest.mark.parametrize("wait", [lambda x: x.sum().item(), lambda x: x.cpu(), lambda x: x + torch.ones(2).to(x)])
def test_a_recording_refuses_to_wait_and_goes_on_to_compute(wait, gpu):
    x, graph = torch.ones(2, device=gpu), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=None):
        y = (x + 1) * 2
        with pytest.raises(RuntimeError, match="capturing"):
            wait(x)
    x.fill_(4.0)
    graph.replay()
    assert y.tolist() == [10, 10]


# --------------------------------------------------------------------------------------- the module


@pytest.mark.parametrize(
    "name", ["ddpm", "ddpm_incorrect", "ddpm_context", "ddim", "ddim_context", "dpm", "dpm_context"]
)
def test_samplers_draw_what_they_draw_on_the_cpu(name, make_model, gpu, monkeypatch):
    prepared, faster = [], du.faster
    monkeypatch.setattr(du, "faster", lambda model: prepared.append(faster(model)) or prepared[-1])
    options = {"seed": 4, "progress": False, "schedule": du.linear_schedule(10, 0.01, 0.2)}
    options |= {"context": torch.eye(5)[:3], "guidance": 2.0} if "context" in name else {}
    options |= {} if "ddpm" in name else {"n": 4, "eta": 1.0}
    sample = getattr(du, f"sample_{name}")
    x, frames = sample(3, model=make_model().to(gpu), **options)
    expected, expected_frames = sample(3, model=make_model(), **options)
    assert x.is_cuda and isinstance(frames, np.ndarray)
    assert prepared[0].graphs and all(prepared[0].graphs.values())  # recorded, and none refused
    torch.testing.assert_close(x.cpu(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(frames, expected_frames, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_networks_passes_can_be_recorded(make_model, gpu):
    """Nothing in a pass waits for the GPU or comes from the CPU; else `faster` would quietly do without its graph."""
    model = make_model()
    fast = du.faster(copy.deepcopy(model).to(gpu))
    for n in (2, 3):
        for t, c in ((0.1, None), (0.9, torch.rand(n, 5))):
            x = torch.randn(n, 3, 16, 16)
            got = fast(x.to(gpu), torch.tensor(t, device=gpu), c if c is None else c.to(gpu))
            torch.testing.assert_close(got.cpu(), model(x, t, c), rtol=1e-4, atol=1e-4)
    assert len(fast.graphs) == 2 and all(fast.graphs.values())


@torch.no_grad()
def test_a_recording_is_kept_and_follows_the_weights(make_model, gpu):
    """Recording takes as long as some steps of sampling; a training shows samples again and again."""
    model, x, t = make_model().to(gpu), torch.randn(2, 3, 16, 16).to(gpu), torch.tensor(0.5).to(gpu)
    first = du.faster(model)(x, t).cpu()
    ((graph, *_),) = du.faster(model).graphs.values()
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            value.mul_(1.1)
    second = du.faster(model)(x, t).cpu()
    ((again, *_),) = du.faster(model).graphs.values()
    assert again is graph and (second - first).abs().max() > 0.01
    torch.testing.assert_close(second, model(x, t).cpu(), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_another_networks_recording_is_not_taken(make_model, gpu):
    x, t = torch.randn(2, 3, 16, 16).to(gpu), torch.tensor(0.5).to(gpu)
    one, other = make_model(seed=0).to(gpu), make_model(seed=1).to(gpu)
    fast, fast_other = du.faster(one), du.faster(other)
    for model, copied in ((one, fast), (other, fast_other), (one, fast)):
        torch.testing.assert_close(copied(x, t).cpu(), model(x, t).cpu(), rtol=1e-4, atol=1e-4)
    one.double()
    assert du.faster(one) is not fast  # the same network in another precision


@torch.no_grad()
def test_a_recording_goes_when_its_network_goes(make_model, gpu):
    model = make_model().to(gpu)
    du.sample_ddim(2, 2, model=model, progress=False)
    recorded = weakref.ref(du.faster(model))
    assert recorded().graphs
    del model
    gc.collect()
    assert recorded() is None


def train(model, images, labels, device):
    """Five steps, as in Labs 2 and 3: (weights, moving average)."""
    torch.manual_seed(0)
    average, optimizer = copy.deepcopy(model), torch.optim.AdamW(model.parameters(), 1e-3)
    generator, schedule = torch.Generator().manual_seed(0), du.linear_schedule().to(device)
    batches = du.sprite_batches(images.to(device), labels.to(device), 8, generator)
    for _ in range(5):
        x, c = next(batches)
        t = torch.randint(1, 501, (len(x),), generator=generator).to(device)
        noise = torch.randn(x.shape, generator=generator).to(device)
        pred_noise = model.train()(du.perturb_input(x, t, noise, schedule), t / 500, c)
        optimizer.zero_grad()
        (pred_noise - noise).square().mean().backward()
        optimizer.step()
        du.ema_update(average, model, 0.9)
    return model, average


def test_training_is_that_of_the_cpu(make_model, gpu, tmp_path):
    images, labels = torch.rand(20, 3, 16, 16) * 2 - 1, torch.eye(5)[torch.arange(20) % 5]
    there, here = (
        train(make_model().to(gpu), images, labels, gpu),
        train(make_model(), images, labels, "cpu"),
    )
    for ours, theirs in zip(there, here, strict=True):
        assert all(isinstance(value, OnGpu) for value in ours.state_dict().values())
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key].cpu(), value, rtol=1e-3, atol=1e-4, msg=key)
    du.save_weights(there[1].state_dict(), tmp_path / "gpu.pth")
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        got = du.load_pretrained(tmp_path / "gpu.pth")(x.to(gpu), 0.5)  # to the first GPU
        torch.testing.assert_close(got.cpu(), here[1].eval()(x, 0.5), rtol=1e-2, atol=1e-2)


def test_measures_and_pictures_are_those_of_the_cpu(gpu):
    files = (
        du.ROOT / "data/sprites_1788_16x16.npy",
        du.ROOT / "data/sprite_labels_nc_1788_16x16.npy",
    )
    arrays = [array[::17] for array in du.load_sprites(*files)]
    results = {}
    for device in (gpu, "cpu"):
        images, labels = du.sprite_tensors(*arrays, device)
        classifier, reference = du.load_classifier(device), images.flip(0)
        distance, index = du.nearest_sprite(images[:5], images[5:])
        assert distance.is_cuda == index.is_cuda == images.is_cuda
        results[str(device)] = [
            du.frechet_sprite_distance(images * 0.9, reference, classifier),
            *du.precision_recall(images * 0.9, reference, classifier),
            du.background_error(images * 0.9, images),
            *du.class_accuracy(images, labels, classifier).tolist(),
            *distance.tolist(),
        ]
        du.show_images(images[:4])
    assert results["cuda:0"] == pytest.approx(results["cpu"], rel=1e-3, abs=1e-3)
