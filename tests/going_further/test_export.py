"""Networks as files of other programs: any number of pictures, the same answers, and models that samplers take."""

import pytest
import torch

import diffusion_utilities as du
from going_further import export
from going_further.unet import UNet
from tests.going_further import exit_status

NETWORKS = {
    "UNet": lambda: UNet(3, 3, 8, (1, 2), (False, True), 1, 4, n_classes=5, height=8),
    "UNet without contexts": lambda: UNet(1, 1, 8, (1, 2), (False, True), 1, 4, height=8),
    "ContextUnet": lambda: du.ContextUnet(3, 8, 5, 8),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    net = NETWORKS[request.param]().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():  # layers that start at zero would hide what is before them
                parameter.normal_(0, 0.2)
    return net


def given(network, n):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, network.in_channels, 8, 8, generator=generator)
    return {"x": x, "t": torch.tensor([0.3])} | ({"c": torch.rand(n, network.n_cfeat)} if network.n_cfeat else {})


@torch.no_grad()
def test_the_graph_answers_the_same_for_any_number(network):
    graph = export.exported(network).module()
    for n in (1, 2, 5):
        what = given(network, n)
        torch.testing.assert_close(graph(**what), network(**what), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"pictures"):  # the copy lost its checks, not the network
        network(torch.zeros(1, network.in_channels, 8, 9), 0.5)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    export.export_onnx(network, path)
    assert [file.name for file in path.parent.iterdir()] == ["network.onnx"]  # the weights are in it
    return path


@torch.no_grad()
@pytest.mark.parametrize("runtime", export.RUNTIMES)
def test_the_file_answers_the_same_and_samplers_take_it(network, file, runtime):
    pytest.importorskip(runtime)
    model = export.OnnxModel(file, runtime)
    assert (model.in_channels, model.height, model.n_cfeat) == (network.in_channels, 8, network.n_cfeat)
    for n in (1, 2, 5):
        what = given(network, n)
        torch.testing.assert_close(model(**what), network(**what), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model(what["x"], 0.3), network(what["x"], 0.3), rtol=1e-4, atol=1e-5)
    drawn, expected = (du.sample_ddim(3, 4, model=m, seed=0, progress=False)[0] for m in (model, network))
    torch.testing.assert_close(drawn, expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_eight_bits_answer_nearly_the_same(network, file, tmp_path):
    pytest.importorskip("onnxruntime")
    export.quantize_onnx(file, tmp_path / "int8.onnx", torch.rand(8, network.in_channels, 8, 8) * 2 - 1)
    what = given(network, 5)
    off = export.OnnxModel(tmp_path / "int8.onnx")(**what) - network(**what)
    assert 1e-4 < off.norm() / network(**what).norm() < 0.2
    assert (tmp_path / "int8.onnx").read_bytes().count(b"QuantizeLinear") > 10


def test_what_cannot_be_is_one_clear_line(tmp_path, capsys):
    with pytest.raises(ValueError, match="expected a ContextUnet or a UNet that predicts the noise, got Clipped"):
        export.exported(du.Clipped(NETWORKS["ContextUnet"]()))
    for runtime, bf16 in (("tensorrt", False), ("onnxruntime", True)):
        with pytest.raises(ValueError, match=f"the last alone with bf16, got {runtime}, bf16={bf16}"):
            export.OnnxModel(tmp_path / "no.onnx", runtime, bf16)
    assert exit_status(export.main, tmp_path / "no.pt", tmp_path / "out.onnx") == 2
    error = capsys.readouterr().err
    assert "no.pt" in error and error.count("\n") == 1
