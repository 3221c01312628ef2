"""What is asked of every network of going_further/; each one's test module takes it over with a star-import.

Such a module has ``small_net(in_channels=3, out_channels=3, **changes)``: a :func:`lively` network of pictures whose
height is any even number.
"""

import re

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from tests.pretended_gpu import pretended_gpu


def lively(module):
    """The module in evaluation mode, without layers at zero or norms at one, which would hide what is behind them."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1 or not parameter.any():
                parameter.normal_(0.1, 0.3)
    return module.eval()


@pytest.fixture
def made(request):
    """The module's ``small_net``, 8 high unless something else is said."""
    return lambda *channels, **changes: request.module.small_net(*channels, **({"height": 8} | changes))


@torch.no_grad()
def test_a_batch_equals_its_singles(made):
    net = made(n_classes=3)
    x, t, c = torch.randn(3, 3, 8, 8), torch.tensor([0.2, 0.6, 1.0]), torch.rand(3, 3)
    singles = [net(x[i : i + 1], t[i], c[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(net(x, t, c), torch.cat(singles), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_one_t_is_for_all(made):
    net, x = made(), torch.randn(3, 3, 8, 8)
    y = net(x, torch.full((3,), 0.3))
    for t in (0.3, torch.tensor(0.3), torch.tensor([0.3]), torch.full((3, 1, 1, 1), 0.3)):
        torch.testing.assert_close(net(x, t), y, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_neighbouring_levels_are_told_apart(made):
    net, x = made(), torch.randn(1, 3, 8, 8)
    assert (net(x, 250 / 500) - net(x, 251 / 500)).abs().max() > 1e-3


@torch.no_grad()
def test_no_context_is_the_zero_vector(made):
    net, x = made(n_classes=3), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(net(x, 0.5), net(x, 0.5, torch.zeros(2, 3)))


@torch.no_grad()
def test_each_picture_follows_its_own_context(made):
    net, x = made(n_classes=3), torch.randn(1, 3, 8, 8).repeat(4, 1, 1, 1)
    y = net(x, 0.5, torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.6, 0.4, 0], [0, 0, 0]]))
    for i in range(4):
        for j in range(i):
            assert (y[i] - y[j]).abs().max() > 1e-3


def test_samplers_of_the_module_take_it(made):
    net = made(1, 1, n_classes=3, height=12).train()
    samples, frames = du.sample_ddim_context(2, torch.eye(3)[:2], n=3, guidance=2.0, model=net, seed=0, progress=False)
    assert samples.shape == (2, 1, 12, 12) and frames.shape == (4, 2, 1, 12, 12)
    assert samples.isfinite().all() and net.training
    for sampler in (du.sample_ddim, du.sample_dpm):
        samples, _ = sampler(2, 3, model=made(), seed=0, progress=False)
        assert samples.shape == (2, 3, 8, 8) and samples.isfinite().all()


def test_samplers_refuse_a_context_that_the_network_does_not_have(made):
    for classes in (None, 2):
        with pytest.raises(ValueError, match="context must have shape"):
            du.sample_ddim_context(1, torch.eye(3)[:1], n=1, model=made(n_classes=classes), progress=False)


@torch.no_grad()
@pytest.mark.parametrize("classes", [None, 3])
def test_its_fast_copy_answers_the_same(made, classes):
    net = made(n_classes=classes).train()
    fast, x = du.faster(net), torch.randn(2, 3, 8, 8)
    c = None if classes is None else torch.eye(classes)[:2]
    assert fast is not net and net.training and not fast.training
    for t in (0.002, 1.0):
        torch.testing.assert_close(fast(x, t, c), net(x, t, c), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU")
@pytest.mark.parametrize("classes", [None, 3])
def test_its_passes_can_be_recorded(made, classes):
    """Nothing in a pass waits for the GPU, or `faster` would quietly do without its graph."""
    net, x = made(n_classes=classes), torch.randn(2, 3, 8, 8)
    c = None if classes is None else torch.eye(classes)[:2]
    expected = net(x, 0.5, c)
    with pretended_gpu():
        gpu = torch.device("cuda:0")
        fast = du.faster(net.to(gpu))
        given = x.to(gpu), torch.tensor(0.5, device=gpu), c if c is None else c.to(gpu)
        got = [fast(*given).cpu() for _ in range(2)]  # recorded, then replayed
        assert len(fast.graphs) == 1 and all(fast.graphs.values())
    for answer in got:
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "t", "context", "message"),
    [
        ((2, 3, 8, 9), 0.5, None, "multiples of 2, got (2, 3, 8, 9)"),
        ((2, 3, 7, 8), 0.5, None, "multiples of 2, got (2, 3, 7, 8)"),
        ((2, 3, 0, 8), 0.5, None, "got (2, 3, 0, 8)"),
        ((2, 1, 8, 8), 0.5, None, "(n, 3, h, w)"),
        ((3, 8, 8), 0.5, None, "got (3, 8, 8)"),
        ((3, 3, 8, 8), [0.1, 0.2], None, "each of the 3 pictures, got 2"),
        ((2, 3, 8, 8), 0.5, (2, 4), "shape (2, 5), got (2, 4)"),
        ((2, 3, 8, 8), 0.5, (1, 5), "shape (2, 5), got (1, 5)"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_refused(made, shape, t, context, message):
    net = made(n_classes=5)
    with pytest.raises(ValueError, match=re.escape(message)):
        net(torch.zeros(shape), torch.tensor(t), None if context is None else torch.zeros(context))


def test_no_tensor_is_refused(made):
    with pytest.raises(ValueError, match="expected x to be a tensor, got ndarray"):
        made()(np.zeros((1, 3, 8, 8)), 0.5)


def test_a_network_without_classes_refuses_a_context(made):
    with pytest.raises(ValueError, match="without n_classes"):
        made()(torch.zeros(1, 3, 8, 8), 0.5, torch.zeros(1, 3))
