"""Notebooks written for the public course run beside this module, its weights and its data.

The cells here are ours, in the style of such notebooks: all names from the star-import, paths from the
notebook's folder, a training loop that makes its folder and saves, a network of their own made of our blocks.
"""

import shutil
import warnings
from pathlib import Path

import pytest
import torch

import diffusion_utilities as du

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = """os np plt torch nn Dataset transforms make_grid save_image FuncAnimation PillowWriter
CustomDataset transform ContextUnet ResidualConvBlock UnetDown UnetUp EmbedFC unorm norm_all norm_torch
gen_tst_context plot_grid plot_sample show_images""".split()

NETWORK = """
class ContextUnet(nn.Module):
    def __init__(self, in_channels, n_feat=256, n_cfeat=10, height=28):
        super(ContextUnet, self).__init__()
        self.in_channels, self.n_feat, self.n_cfeat, self.h = in_channels, n_feat, n_cfeat, height
        self.init_conv = ResidualConvBlock(in_channels, n_feat, is_res=True)
        self.down1 = UnetDown(n_feat, n_feat)
        self.down2 = UnetDown(n_feat, 2 * n_feat)
        self.to_vec = nn.Sequential(nn.AvgPool2d((4)), nn.GELU())
        self.timeembed1, self.timeembed2 = EmbedFC(1, 2*n_feat), EmbedFC(1, 1*n_feat)
        self.contextembed1, self.contextembed2 = EmbedFC(n_cfeat, 2*n_feat), EmbedFC(n_cfeat, 1*n_feat)
        self.up0 = nn.Sequential(nn.ConvTranspose2d(2*n_feat, 2*n_feat, height//4, height//4),
                                 nn.GroupNorm(8, 2*n_feat), nn.ReLU())
        self.up1 = UnetUp(4 * n_feat, n_feat)
        self.up2 = UnetUp(2 * n_feat, n_feat)
        self.out = nn.Sequential(nn.Conv2d(2*n_feat, n_feat, 3, 1, 1), nn.GroupNorm(8, n_feat), nn.ReLU(),
                                 nn.Conv2d(n_feat, in_channels, 3, 1, 1))

    def forward(self, x, t, c=None):
        x = self.init_conv(x)
        down1 = self.down1(x)
        down2 = self.down2(down1)
        if c is None:
            c = torch.zeros(x.shape[0], self.n_cfeat).to(x)
        cemb1 = self.contextembed1(c).view(-1, self.n_feat * 2, 1, 1)
        temb1 = self.timeembed1(t).view(-1, self.n_feat * 2, 1, 1)
        cemb2 = self.contextembed2(c).view(-1, self.n_feat, 1, 1)
        temb2 = self.timeembed2(t).view(-1, self.n_feat, 1, 1)
        up1 = self.up0(self.to_vec(down2))
        up2 = self.up1(cemb1*up1 + temb1, down2)
        up3 = self.up2(cemb2*up2 + temb2, down1)
        return self.out(torch.cat((up3, x), 1))
"""

TRAINING = """
from torch.utils.data import DataLoader
import torch.nn.functional as F
timesteps, device = 500, torch.device('cpu')
b_t = (0.02 - 1e-4) * torch.linspace(0, 1, timesteps + 1) + 1e-4
ab_t = torch.cumsum((1 - b_t).log(), dim=0).exp()
ab_t[0] = 1
nn_model = ContextUnet(in_channels=3, n_feat=8, n_cfeat=5, height=16).to(device)
dataset = CustomDataset("./sprites_1788_16x16.npy", "./sprite_labels_nc_1788_16x16.npy", transform, null_context=False)
loader = DataLoader(dataset, batch_size=100, shuffle=True, num_workers=0)
optim = torch.optim.Adam(nn_model.parameters(), lr=1e-3)
save_dir = './weights/'
nn_model.train()
for ep in range(1):
    optim.param_groups[0]['lr'] = 1e-3 * (1 - ep / 32)
    for i, (x, c) in enumerate(loader):
        if i == 3:
            break
        optim.zero_grad()
        x, c = x.to(device), c.to(device)
        context_mask = torch.bernoulli(torch.zeros(c.shape[0]) + 0.9).to(device)
        c = c * context_mask.unsqueeze(-1)
        noise = torch.randn_like(x)
        t = torch.randint(1, timesteps + 1, (x.shape[0],)).to(device)
        x_pert = ab_t.sqrt()[t, None, None, None] * x + (1 - ab_t[t, None, None, None]) * noise
        loss = F.mse_loss(nn_model(x_pert, t / timesteps, c=c), noise)
        loss.backward()
        optim.step()
    if not os.path.exists(save_dir):
        os.mkdir(save_dir)
    torch.save(nn_model.state_dict(), save_dir + f"model_{ep}.pth")
"""


def star_import():
    names = {}
    exec("from diffusion_utilities import *", names)
    return names


def test_the_star_import_brings_what_such_notebooks_expect():
    assert set(EXPECTED) <= star_import().keys()


def test_the_star_import_brings_what_it_brought_before():
    """The names that the labs used before some of them moved to support/."""
    before = """torch NoiseSchedule linear_schedule load_pretrained save_weights ema_update evaluating perturb_input
    denoise_add_noise predict_x0 denoise_ddim denoise_dpm guided_noise exact_denoiser step_pairs sample_ddpm
    sample_ddpm_incorrect sample_ddpm_context sample_ddim sample_ddim_context sample_dpm sample_dpm_context CLASS_NAMES
    load_sprites sprite_tensors augment sprite_batches to_unit compare_samples film_strip SpriteClassifier
    load_classifier
    frechet_sprite_distance precision_recall class_accuracy nearest_sprite background_error faster bf16_is_faster
    OpenvinoUnet""".split()
    assert set(before) <= star_import().keys()
    assert not {"h", "Step", "check"} & star_import().keys()


@pytest.mark.parametrize("own_network", [False, True], ids=["our network", "a network of its own"])
def test_a_training_cell_runs_from_any_folder_and_finds_our_data(own_network, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = star_import()
    if own_network:
        exec(NETWORK, names)
    exec(TRAINING, names)
    assert (tmp_path / "weights" / "model_0.pth").is_file()
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("taking the course's own data/sprites_1788_16x16.npy") and len(said) == 2
    samples, _ = du.sample_ddim(2, 5, model=names["nn_model"], progress=False, seed=0)
    assert samples.shape == (2, 3, 16, 16)


def test_a_file_beside_the_notebook_wins_over_ours(tmp_path, monkeypatch, capsys, sprite_files):
    monkeypatch.chdir(tmp_path)
    for ours, name in zip(sprite_files[:2], ("sprites_1788_16x16.npy", "sprite_labels_nc_1788_16x16.npy"), strict=True):
        shutil.copy(ours, tmp_path / name)
    data = du.CustomDataset("./sprites_1788_16x16.npy", "./sprite_labels_nc_1788_16x16.npy", None)
    assert len(data) == 10 and capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["weights/model_trained.pth", "./weights/model_trained"])
def test_weights_are_found_from_a_labs_folder(name, monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "L1_Sampling")
    assert du.load_pretrained(name, "cpu").n_feat == 64
    assert "taking the course's own weights/model_trained.pth" in capsys.readouterr().out


def test_a_public_checkpoint_loads_into_a_notebooks_own_class():
    """It has no init_conv.shortcut, for the public code draws that projection anew in every pass."""
    names = star_import()
    exec(NETWORK, names)
    state = torch.load(ROOT / "weights" / "model_trained.pth", weights_only=True)
    public = {key: value for key, value in state.items() if ".shortcut." not in key}
    model = names["ContextUnet"](3, 64, 5, 16).eval()
    with pytest.warns(UserWarning, match="init_conv.shortcut.bias, init_conv.shortcut.weight; set to zero") as said:
        model.load_state_dict(public)
    assert len(said) == 1
    assert model.init_conv.shortcut.weight.abs().sum() == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_state_dict(state)
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([[[[0.5]]]])
    with torch.no_grad():
        torch.testing.assert_close(model(x, t), du.load_pretrained("model_trained", "cpu")(x, t))
