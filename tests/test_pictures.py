"""Pictures: colours by one rule, odd counts and shapes, files on disk, no figures left behind."""

import base64
import io
import math
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.animation import FuncAnimation
from PIL import Image

import diffusion_utilities as du
from support import pictures

pytestmark = pytest.mark.filterwarnings("ignore:Animation was deleted")


def frames(n_frames=4, n=5, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1.2, 1.2, (n_frames, n, 3, size, size)).astype(np.float32)


def shown(ax):
    """The picture that an axes shows, as an array (h, w, 3)."""
    return np.asarray(ax.get_images()[0].get_array())


def colour(value, n=1, size=8):
    return torch.full((n, 3, size, size), float(value))


# ------------------------------------------------------------------------------------------ colours


def test_to_unit_clips_and_never_stretches():
    x = np.array([-3, -1, -0.5, 0, 0.5, 1, 3], dtype=np.float32).repeat(3).reshape(1, 7, 3).transpose(2, 0, 1)
    expected = [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert du.to_unit(x).shape == (1, 7, 3)
    np.testing.assert_allclose(du.to_unit(x)[0, :, 0], expected)


@pytest.mark.parametrize("shape", [(3, 4, 6), (2, 3, 4, 6), (5, 2, 3, 4, 6)], ids=str)
def test_to_unit_moves_the_colours_last(shape):
    x = torch.rand(shape) * 2 - 1
    out = du.to_unit(x.requires_grad_())
    assert isinstance(out, np.ndarray) and out.shape == (*shape[:-3], 4, 6, 3)
    np.testing.assert_allclose(out[..., 1], (x.detach().numpy()[..., 1, :, :] + 1) / 2, atol=1e-6)
    np.testing.assert_array_equal(du.to_unit(x.detach().numpy()), out)


def test_unorm_stretches_each_channel():
    x = np.random.default_rng(0).normal(size=(6, 5, 3))
    out = du.unorm(x)
    assert out.shape == x.shape
    assert out.min(axis=(0, 1)).tolist() == [0, 0, 0] and out.max(axis=(0, 1)).tolist() == [1, 1, 1]
    np.testing.assert_allclose(out, (x - x.min((0, 1))) / (x.max((0, 1)) - x.min((0, 1))))


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_flat_pictures_do_not_divide_by_zero(value):
    flat = np.full((4, 4, 3), value)
    assert not du.unorm(flat).any() and np.isfinite(du.unorm(flat)).all()
    assert not du.norm_all(flat[None, None], 1, 1).any()
    assert torch.equal(du.norm_torch(colour(value)), torch.zeros(1, 3, 8, 8))


def test_a_picture_with_one_flat_channel_keeps_the_others():
    x = np.random.default_rng(0).normal(size=(4, 4, 3))
    x[:, :, 1] = 0.7
    out = du.unorm(x)
    assert not out[:, :, 1].any() and out[:, :, 0].max() == 1 and out[:, :, 2].max() == 1


def test_norm_all_is_unorm_picture_by_picture():
    store = np.random.default_rng(0).normal(size=(4, 5, 6, 6, 3))
    out = du.norm_all(store, 3, 2)
    assert out.shape == (3, 2, 6, 6, 3)
    for i in range(3):
        for j in range(2):
            np.testing.assert_array_equal(out[i, j], du.unorm(store[i, j]))


def test_norm_torch_is_unorm_for_tensors():
    x = torch.randn(4, 3, 6, 6)
    before = x.clone()
    out = du.norm_torch(x)
    assert torch.equal(x, before)
    for i in range(4):
        expected = du.unorm(x[i].permute(1, 2, 0).numpy()).transpose(2, 0, 1)
        np.testing.assert_allclose(out[i].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("n_cfeat", [1, 5, 10])
def test_contexts_to_try_are_each_class_then_none_six_times(n_cfeat):
    count, rows = du.gen_tst_context(n_cfeat)
    assert count == 6 * (n_cfeat + 1) and rows.shape == (count, n_cfeat) and rows.dtype == torch.float32
    for repeat in rows.reshape(6, n_cfeat + 1, n_cfeat):
        assert torch.equal(repeat[:-1], torch.eye(n_cfeat)) and not repeat[-1].any()


# -------------------------------------------------------------------------------------------- grids

COUNTS = [(1, 1), (5, 4), (1, 2), (2, 1), (5, 1), (5, 2), (7, 3), (8, 2), (3, 3)]


@pytest.mark.parametrize(("n", "n_rows"), COUNTS)
def test_show_images_takes_any_count(n, n_rows):
    du.show_images(torch.rand(n, 3, 8, 8) * 2 - 1, n_rows)
    (ax,) = plt.gcf().axes
    picture = shown(ax)
    rows, columns = n_rows, math.ceil(n / n_rows)
    # a lone picture has no frame
    expected = (9 * rows + 1, 9 * columns + 1, 3) if rows * columns > 1 else (8, 8, 3)
    assert picture.shape == expected
    assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
    plt.gcf().canvas.draw()


def test_show_images_fills_missing_places_with_white():
    du.show_images(colour(-1, n=5), 2)
    picture = shown(plt.gcf().axes[0])
    assert (picture[10:18, 19:27] == 1).all()  # the sixth place, of 2 × 3
    assert (picture[10:18, 10:18] == 0).all()  # the fifth


def test_show_images_says_what_rows_and_columns_are():
    du.show_images(colour(0, n=6), 2, rows=["$$", "b"], columns=[10, 25, 500])
    ax = plt.gcf().axes[0]
    plt.gcf().canvas.draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["$$", "b"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "25", "500"]
    np.testing.assert_allclose(ax.get_yticks(), [4.5, 13.5])  # 8 pixels, a white line before each
    np.testing.assert_allclose(ax.get_xticks(), [4.5, 13.5, 22.5])
    with pytest.raises(ValueError, match="expected a word for each of 3 columns, got 2"):
        du.show_images(colour(0, n=6), 2, columns=["a", "b"])


def test_show_images_counts_rows_under_both_names():
    for options in ({"n_rows": 3}, {"nrow": 3}):
        du.show_images(colour(0, n=6), **options)
        assert shown(plt.gcf().axes[0]).shape == (28, 19, 3)


def test_show_images_keeps_the_order_row_by_row():
    du.show_images(torch.cat([colour(value) for value in (-1, -0.5, 0, 0.5)]), 2)
    picture = shown(plt.gcf().axes[0])
    centres = [picture[4, 4, 0], picture[4, 13, 0], picture[13, 4, 0], picture[13, 13, 0]]
    np.testing.assert_allclose(centres, [0, 0.25, 0.5, 0.75], atol=1e-6)


@pytest.mark.parametrize(("n", "n_rows"), COUNTS)
def test_plot_grid_writes_the_grid_that_it_returns(n, n_rows, tmp_path):
    x = torch.rand(n + 1, 3, 8, 8) * 2.4 - 1.2
    grid = du.plot_grid(x, n, n_rows, tmp_path / "new", "2.5")
    path = tmp_path / "new" / "run_image_w2.5.png"
    written = np.asarray(Image.open(path).convert("RGB"))
    assert grid.shape[0] == 3 and grid.min() >= 0 and grid.max() <= 1
    np.testing.assert_allclose(written, grid.permute(1, 2, 0).numpy() * 255, atol=0.51)
    corner = grid[:, 1:9, 1:9] if grid.shape[1:] != (8, 8) else grid
    torch.testing.assert_close(corner, (x[0].clamp(-1, 1) + 1) / 2)


def test_plot_grid_shows_the_first_n_samples_only(tmp_path):
    x = torch.cat([colour(-1, n=4), colour(1, n=4)])
    grid = du.plot_grid(x, 4, 2, str(tmp_path), 0)
    assert (grid[:, 1:9, 1:9] == 0).all() and grid.shape == (3, 19, 19)


# --------------------------------------------------------------------------------------- animations


def gif_frames(path):
    with Image.open(path) as gif:
        pictures = []
        for i in range(gif.n_frames):
            gif.seek(i)
            pictures.append(np.asarray(gif.convert("RGB")).astype(int))
    return pictures


@pytest.mark.parametrize(("n", "n_sample", "nrows"), [(1, 1, 1), (5, 5, 2), (5, 3, 1), (3, 3, 3), (4, 4, 2)])
def test_plot_sample_writes_a_gif_of_all_frames(n, n_sample, nrows, tmp_path):
    store = frames(4, n)
    animation = du.plot_sample(store, n_sample, nrows, tmp_path / "new", "ani", "0.5", save=True)
    assert isinstance(animation, FuncAnimation)
    pictures = gif_frames(tmp_path / "new" / "ani_w0.5.gif")
    assert len(pictures) == 4
    assert all(np.abs(pictures[i] - pictures[i + 1]).max() > 50 for i in range(3))  # it moves


def test_the_gif_goes_from_the_first_frame_to_the_last(tmp_path):
    store = np.linspace(-1, 1, 5)[:, None, None, None, None] * np.ones((5, 1, 3, 8, 8), np.float32)
    du.plot_sample(store, 1, 1, tmp_path, "ani", 0, save=True)
    centres = [p[p.shape[0] // 2, p.shape[1] // 2, 0] for p in gif_frames(tmp_path / "ani_w0.gif")]
    assert centres == pytest.approx([0, 64, 128, 191, 255], abs=6)  # a GIF has 256 colours


def test_plot_sample_writes_nothing_unless_asked(tmp_path):
    du.plot_sample(frames(), 5, 2, tmp_path / "new", "ani", 0)
    assert not list(tmp_path.iterdir())


def test_plot_sample_leaves_no_figure_open(tmp_path):
    du.plot_sample(frames(), 5, 2, tmp_path, "ani", 0)
    du.plot_sample(frames(), 5, 2, tmp_path, "ani", 0, save=True)
    du.compare_samples({"a": frames(), "b": frames(seed=1)})
    assert plt.get_fignums() == []


def test_plot_sample_shows_the_first_n_samples():
    store = np.concatenate([np.full((2, 1, 3, 8, 8), -1.0), np.full((2, 3, 3, 8, 8), 1.0)], axis=1)
    picture = shown(du.plot_sample(store, 1, 1, "", "", 0)._fig.axes[0])
    assert picture.shape == (8, 8, 3) and not picture.any()


def test_animations_play_in_a_notebook():
    html = du.plot_sample(frames(3, 2), 2, 1, "", "", 0).to_jshtml()
    assert html.count("data:image/png;base64") == 3


def test_a_long_animation_is_thinned_and_keeps_its_end():
    store = frames(501, 2)
    animation = du.plot_sample(store, 2, 1, "", "", 0)
    html = animation.to_jshtml()
    assert html.count("data:image/png;base64") == pictures.MOST_FRAMES
    (ax,) = animation._fig.axes
    np.testing.assert_allclose(shown(ax)[1:9, 1:9], du.to_unit(store[-1, 0]), atol=1e-6)


def test_a_played_animation_moves_without_scripts_too(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    store = frames(31, 2)
    store[-1] = 1  # it ends in white
    du.play(du.plot_sample(store, 2, 1, "", "", 0))
    (bundle,) = bundles
    assert bundle["text/html"].count("data:image/png;base64") == 32  # all frames, and one without scripts
    assert re.search('<img src="data:image/png;base64,[^"]{99,}" id="_anim_img', bundle["text/html"])
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as moving:
        assert moving.n_frames == pictures.STILLS
        moving.seek(moving.n_frames - 1)
        end = np.asarray(moving.convert("L"))
        assert end[end.shape[0] // 2].min() > 250


@pytest.mark.parametrize("n_runs", [1, 2, 3])
@pytest.mark.parametrize(("n", "nrows"), [(1, 1), (5, 2), (4, 4)])
def test_compare_samples_has_a_titled_panel_a_run(n_runs, n, nrows):
    runs = {f"run {i}": frames(3, n, seed=i) for i in range(n_runs)}
    animation = du.compare_samples(runs, nrows)
    axes = animation._fig.axes
    assert [ax.get_title() for ax in axes] == list(runs)
    assert animation.to_jshtml().count("data:image/png;base64") == 3
    # drawn to the end: the last frame is in place
    for ax, store in zip(axes, runs.values(), strict=True):
        first = shown(ax)[1:9, 1:9] if n > 1 else shown(ax)
        np.testing.assert_allclose(first, du.to_unit(store[2, 0]), atol=1e-6)


# --------------------------------------------------------------- nothing half drawn or half written


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_and_not_drawn(value, tmp_path, monkeypatch):
    """One broken number in one frame of one run is enough."""
    monkeypatch.setattr(plt, "subplots", None)
    store = frames()
    store[2, 4, 1, 5, 5] = value
    for draw in (
        lambda: du.show_images(torch.from_numpy(store[2])),
        lambda: du.plot_grid(torch.from_numpy(store[2]), 5, 2, tmp_path, 0),
        lambda: du.plot_sample(store, 5, 2, tmp_path, "ani", 0, save=True),
        lambda: du.compare_samples({"right": frames(), "broken": store}),
        lambda: du.film_strip({"right": frames(), "broken": store}),
    ):
        with pytest.raises(ValueError, match=r"(not finite|NaN).*has the training diverged"):
            draw()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["run_image_w0.png", "ani_w0.gif"])
@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()], ids=["disk full", "interrupt"])
def test_a_picture_that_fails_on_the_way_leaves_the_old_one(name, failure, tmp_path, monkeypatch):
    def draw():
        if name.endswith("png"):
            du.plot_grid(colour(0, n=4), 4, 2, tmp_path, 0)
        else:
            du.plot_sample(frames(2, 2), 2, 1, tmp_path, "ani", 0, save=True)

    def half_written(self, target, *args, **kwargs):
        Path(target).write_bytes(b"half a picture")
        raise failure

    draw()
    before = (tmp_path / name).read_bytes()
    monkeypatch.setattr("torchvision.utils.save_image", half_written)
    monkeypatch.setattr(FuncAnimation, "save", half_written)
    with pytest.raises(type(failure)):
        draw()
    assert (tmp_path / name).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


# -------------------------------------------------------------------------------------- film strips


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize(("n_frames", "columns"), [(1, 9), (4, 9), (26, 9), (26, 5), (21, 2)])
def test_film_strip_goes_from_noise_to_result(n_runs, n_frames, columns):
    runs = {f"run {i}": frames(n_frames, 2, seed=i) for i in range(n_runs)}
    du.film_strip(runs, columns, sample=1, last="step 500")
    axes = np.array(plt.gcf().axes).reshape(n_runs, columns)
    for row, (title, store) in zip(axes, runs.items(), strict=True):
        assert row[0].get_ylabel() == title
        np.testing.assert_allclose(shown(row[0]), du.to_unit(store[0, 1]))
        np.testing.assert_allclose(shown(row[-1]), du.to_unit(store[-1, 1]))
    assert axes[0, 0].get_title() == "noise" and axes[0, -1].get_title() == "step 500"
    plt.gcf().canvas.draw()


def test_film_strip_frames_are_evenly_spread():
    store = np.linspace(-1, 1, 21)[:, None, None, None, None] * np.ones((21, 1, 3, 4, 4))
    du.film_strip({"run": store}, 5)
    np.testing.assert_allclose([shown(ax)[0, 0, 0] for ax in plt.gcf().axes], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
