"""Sprites and labels: read, checked, turned into tensors, augmented and drawn in batches."""

import io
import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import diffusion_utilities as du


def npy(array, allow_pickle=True):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def palette_images(n=6, size=16, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# ------------------------------------------------------------------------------------ CustomDataset


def test_a_label_of_point_six_stays_point_six(sprite_files):
    dataset = du.CustomDataset(*sprite_files[:2], du.transform)
    label = dataset[3][1]
    assert label.dtype == torch.float32
    torch.testing.assert_close(label, torch.tensor([0.6, 0, 0.4, 0, 0]), rtol=0, atol=0)


def test_items_are_the_sprites_in_order(sprite_files):
    sprite_path, label_path, sprites, labels = sprite_files
    dataset = du.CustomDataset(sprite_path, label_path, du.transform)
    assert len(dataset) == 10 and dataset.getshapes() == ((10, 16, 16, 3), (10, 5))
    for i in range(10):
        image, label = dataset[i]
        expected = sprites[i].transpose(2, 0, 1) / 255 * 2 - 1
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)
        np.testing.assert_allclose(label.numpy(), labels[i], atol=1e-7)


def test_null_context_gives_zeros_and_the_same_pictures(sprite_files):
    plain = du.CustomDataset(*sprite_files[:2], du.transform)
    null = du.CustomDataset(*sprite_files[:2], du.transform, null_context=True)
    for i in range(10):
        assert torch.equal(null[i][1], torch.zeros(5)) and null[i][1].dtype == torch.float32
        assert torch.equal(null[i][0], plain[i][0])
    assert plain[0][1].any()


def test_without_a_transform_the_array_is_left_alone(sprite_files):
    image, _ = du.CustomDataset(*sprite_files[:2], None)[2]
    assert image.dtype == np.uint8 and np.array_equal(image, sprite_files[2][2])


def test_a_loader_batches_it(sprite_files):
    loader = DataLoader(du.CustomDataset(*sprite_files[:2], du.transform), batch_size=4)
    batches = list(loader)
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert batches[0][0].shape == (4, 3, 16, 16) and batches[0][1].shape == (4, 5)
    assert batches[0][0].dtype == batches[0][1].dtype == torch.float32


def test_transform_maps_black_to_minus_one_and_white_to_one():
    picture = np.zeros((2, 3, 3), dtype=np.uint8)
    picture[0] = 255
    picture[1, 0] = 51
    image = du.transform(picture)
    assert image.shape == (3, 2, 3) and image.dtype == torch.float32
    assert (image[:, 0] == 1).all() and (image[:, 1, 1:] == -1).all()
    assert image[0, 1, 0].item() == pytest.approx(-0.6, abs=1e-6)


# ------------------------------------------------------------------------------------- load_sprites


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
def test_labels_of_any_number_type_load_as_float32(sprite_files, dtype):
    np.save(sprite_files[1], np.eye(5)[np.arange(10) % 5].astype(dtype))
    sprites, labels = du.load_sprites(*sprite_files[:2])
    assert sprites.dtype == np.uint8 and labels.dtype == np.float32
    assert np.array_equal(labels, np.eye(5)[np.arange(10) % 5])


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file_is_named(sprite_files, missing):
    sprite_files[missing].unlink()
    with pytest.raises(FileNotFoundError, match=sprite_files[missing].name):
        du.load_sprites(*sprite_files[:2])


@pytest.mark.parametrize("which", [0, 1], ids=["sprites", "labels"])
def test_a_file_cut_short_anywhere_is_refused(sprite_files, which):
    path = sprite_files[which]
    whole = path.read_bytes()
    # the header is 128 bytes long
    for length in [*range(0, 140, 3), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=path.name):
            du.load_sprites(*sprite_files[:2])
    path.write_bytes(whole)
    assert len(du.load_sprites(*sprite_files[:2])[0]) == 10


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, np.zeros((10, 16, 16, 3), np.uint8))
    return buffer.getvalue()


@pytest.mark.parametrize("which", [0, 1], ids=["sprites", "labels"])
@pytest.mark.parametrize(
    "content",
    [
        b"some text",
        b"PK\x03\x04 no zip",
        npz(),
        npy(np.array([{}, None], dtype=object)),
        npy(np.array("text")),
    ],
    ids=["text", "broken zip", "npz", "object array", "string array"],
)
def test_a_file_of_something_else_is_refused(sprite_files, which, content):
    sprite_files[which].write_bytes(content)
    with pytest.raises(ValueError, match=sprite_files[which].name):
        du.load_sprites(*sprite_files[:2])


@pytest.mark.parametrize("which", [0, 1], ids=["sprites", "labels"])
def test_code_in_an_array_file_is_not_run(sprite_files, which, tmp_path):
    written = tmp_path / "written"

    class Code:
        def __reduce__(self):
            return exec, (f"open({str(written)!r}, 'w').close()",)

    content = npy(np.array([Code()], dtype=object))
    sprite_files[which].write_bytes(content)
    with pytest.raises(ValueError, match=sprite_files[which].name):
        du.load_sprites(*sprite_files[:2])
    assert not written.exists()
    np.load(io.BytesIO(content), allow_pickle=True)
    assert written.exists()  # it would have run


@pytest.mark.parametrize(
    "sprites",
    [
        np.zeros((10, 16, 16, 3), np.float32),
        np.zeros((10, 16, 16, 3), np.int64),
        np.zeros((10, 3, 16, 16), np.uint8),
        np.zeros((10, 16, 16), np.uint8),
        np.zeros((10, 16, 16, 4), np.uint8),
        np.zeros((0, 16, 16, 3), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_sprites_of_another_kind_are_refused_with_what_was_found(sprite_files, sprites):
    np.save(sprite_files[0], sprites)
    with pytest.raises(ValueError, match=re.escape(f"got {sprites.dtype} {sprites.shape}")):
        du.load_sprites(*sprite_files[:2])


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((9, 5)),
        np.zeros((11, 5)),
        np.zeros(10),
        np.zeros((10, 5, 1)),
        np.full((10, 5), "a"),
        np.zeros((10, 5), complex),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_labels_of_another_kind_are_refused_with_what_was_found(sprite_files, labels):
    np.save(sprite_files[1], labels)
    with pytest.raises(ValueError, match=re.escape(f"got {labels.dtype} {labels.shape}")):
        du.load_sprites(*sprite_files[:2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_labels_that_are_not_finite_are_refused_by_row(sprite_files, value):
    labels = sprite_files[3]
    labels[7, 2] = value
    np.save(sprite_files[1], labels)
    with pytest.raises(ValueError, match="row 7 is not finite"):
        du.load_sprites(*sprite_files[:2])


def test_labels_that_overflow_float32_are_refused(sprite_files):
    labels = sprite_files[3]
    labels[7, 2] = 1e300
    np.save(sprite_files[1], labels)
    with pytest.raises(ValueError, match="row 7"), np.errstate(over="ignore"):
        du.load_sprites(*sprite_files[:2])


@pytest.mark.parametrize("name", ["missing", "text"])
def test_the_dataset_refuses_what_the_loader_refuses(sprite_files, name):
    if name == "missing":
        sprite_files[0].unlink()
    else:
        sprite_files[0].write_bytes(b"text")
    with pytest.raises(FileNotFoundError if name == "missing" else ValueError, match=r"sprites\.npy"):
        du.CustomDataset(*sprite_files[:2], du.transform)


# ----------------------------------------------------------------------------------- sprite_tensors


def test_the_set_at_once_equals_item_by_item(sprite_files):
    dataset = du.CustomDataset(*sprite_files[:2], du.transform)
    images, labels = du.sprite_tensors(dataset.sprites, dataset.slabels)
    assert images.shape == (10, 3, 16, 16) and images.is_contiguous()
    for i, (image, label) in enumerate(dataset):
        torch.testing.assert_close(images[i], image, rtol=0, atol=2e-7)  # two roundings near 1
        assert torch.equal(labels[i], label)
        if i == 9:
            break


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_the_set_at_once_is_float32_whatever_the_labels_were(sprite_files, dtype):
    images, labels = du.sprite_tensors(sprite_files[2], np.eye(5)[np.arange(10) % 5].astype(dtype))
    assert images.dtype == labels.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1


@pytest.mark.parametrize(
    ("sprites", "labels"),
    [
        (np.zeros((3, 4, 4, 3), np.float32), np.zeros((3, 5))),
        (np.zeros((3, 4, 4), np.uint8), np.zeros((3, 5))),
        (np.zeros((3, 4, 4, 3), np.uint8), np.zeros((2, 5))),
    ],
    ids=["in [0, 1]", "grey", "too few labels"],
)
def test_the_set_at_once_refuses_what_would_be_misread(sprites, labels):
    with pytest.raises(ValueError, match="expected sprites of type uint8|expected labels as numbers"):
        du.sprite_tensors(sprites, labels)


def test_changing_a_label_in_place_does_not_change_the_data(sprite_files):
    dataset = du.CustomDataset(*sprite_files[:2], du.transform)
    before = dataset.slabels.copy()
    dataset[3][1].zero_()
    du.sprite_tensors(dataset.sprites, dataset.slabels)[1].zero_()
    assert np.array_equal(dataset.slabels, before)


def test_the_set_at_once_reaches_both_ends_exactly():
    sprites = np.zeros((2, 4, 4, 3), np.uint8)
    sprites[1] = 255
    images, _ = du.sprite_tensors(sprites, np.zeros((2, 5), np.float32))
    assert (images[0] == -1).all() and (images[1] == 1).all()


# ------------------------------------------------------------------------------------------ augment


@pytest.mark.parametrize("grey", [-1.0, -0.5, 0.0, 0.3, 1.0])
def test_hue_rotation_keeps_white_black_and_grey(grey):
    images = torch.full((50, 3, 4, 4), grey)
    torch.testing.assert_close(du.augment(images, hue=2.0), images, rtol=0, atol=1e-6)


def test_hue_rotation_keeps_brightness_and_saturation():
    """A rotation about the grey axis: the sum and the length of a colour stay. Small colours, so nothing is clipped."""
    images = palette_images(50) / 3
    turned = du.augment(images, hue=1.0, generator=torch.Generator().manual_seed(0))
    for measure in (lambda x: x.sum(1), lambda x: x.square().sum(1)):
        plain, mirrored = measure(images), measure(images.flip(3))
        off = torch.minimum(
            (measure(turned) - plain).abs().amax((1, 2)),
            (measure(turned) - mirrored).abs().amax((1, 2)),
        )
        assert off.max() < 1e-5


def test_hue_rotation_by_a_third_of_the_circle_swaps_the_channels():
    third = torch.tensor([2 * torch.pi / 3])
    turned = du._hue_rotation(third)[0] @ torch.eye(3)
    # a permutation: red is green now …
    torch.testing.assert_close(turned.round().abs(), turned, rtol=0, atol=1e-6)
    assert turned.sum(0).tolist() == pytest.approx([1, 1, 1]) and not torch.allclose(turned, torch.eye(3))


def test_hues_turn_by_the_spread_asked_for():
    """The angle between a colour and the turned colour, over 4,000 pictures: spread 0.15 known to 1.1 %."""
    images = torch.zeros(4000, 3, 1, 1)
    # at right angles to grey, so that the angle can be read off
    images[:, 0], images[:, 1] = 0.5, -0.5
    turned = du.augment(images, hue=0.15)[:, :, 0, 0]
    cosine = (turned * images[:, :, 0, 0]).sum(1) / 0.5
    angle = cosine.clamp(-1, 1).arccos()
    assert angle.square().mean().sqrt().item() == pytest.approx(0.15, rel=0.06)


def test_about_half_of_the_pictures_are_mirrored():
    images = palette_images(1).expand(2000, -1, -1, -1)
    out = du.augment(images, hue=0.0)
    plain = (out - images).abs().amax((1, 2, 3)) < 1e-6
    mirrored = (out - images.flip(3)).abs().amax((1, 2, 3)) < 1e-6
    assert (plain ^ mirrored).all()
    # five errors of 2,000 coins
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.056)


def test_augmented_pictures_stay_in_range_and_in_shape():
    images = palette_images(50).sign()
    out = du.augment(images, hue=3.0)
    assert out.shape == images.shape and out.dtype == torch.float32
    assert out.min() >= -1 and out.max() <= 1


def test_augment_follows_its_generator_alone():
    images = palette_images(20)
    torch.manual_seed(1)
    one = du.augment(images, generator=torch.Generator().manual_seed(5))
    state = torch.get_rng_state()
    two = du.augment(images, generator=torch.Generator().manual_seed(5))
    assert torch.equal(one, two) and torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one, du.augment(images, generator=torch.Generator().manual_seed(6)))


def test_augment_leaves_its_input_alone():
    images = palette_images(20)
    before = images.clone()
    du.augment(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (3, 4, 4)], ids=str)
def test_augment_refuses_what_has_no_three_channels(shape):
    with pytest.raises(ValueError, match="expected images of shape"):
        du.augment(torch.zeros(shape))


# ----------------------------------------------------------------------------------- sprite_batches


def numbered(n):
    """n grey pictures, each of its own brightness, which augmentation leaves; the label is the picture's number."""
    brightness = torch.linspace(-0.9, 0.9, n)
    return brightness[:, None, None, None].expand(n, 3, 4, 4).clone(), torch.arange(n).float()[:, None]


def test_every_sprite_comes_once_in_a_pass_and_with_its_own_label():
    images, labels = numbered(12)
    batches = du.sprite_batches(images, labels, 4, torch.Generator().manual_seed(0))
    orders = []
    for _ in range(3):
        one_pass = [next(batches) for _ in range(3)]
        assert all(x.shape == (4, 3, 4, 4) and c.shape == (4, 1) for x, c in one_pass)
        for x, c in one_pass:
            torch.testing.assert_close(x, images[c[:, 0].long()], rtol=0, atol=1e-6)
        orders.append([int(number) for _, c in one_pass for number in c[:, 0]])
        assert sorted(orders[-1]) == list(range(12))
    assert orders[0] != orders[1] != orders[2]


def test_batches_are_full_when_the_size_does_not_divide():
    batches = du.sprite_batches(*numbered(10), 4)
    for _ in range(4):
        one_pass = [next(batches) for _ in range(2)]
        numbers = [int(number) for _, c in one_pass for number in c[:, 0]]
        assert len(set(numbers)) == len(numbers) == 8


def test_batches_are_augmented():
    images = palette_images(8)
    x, c = next(du.sprite_batches(images, torch.arange(8.0)[:, None], 8))
    assert not torch.allclose(x, images[c[:, 0].long()], atol=1e-3)


def test_batches_follow_their_generator_alone():
    images, labels = palette_images(8), torch.arange(8.0)[:, None]
    torch.manual_seed(1)
    one = next(du.sprite_batches(images, labels, 4, torch.Generator().manual_seed(5)))
    state = torch.get_rng_state()
    two = next(du.sprite_batches(images, labels, 4, torch.Generator().manual_seed(5)))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("batch_size", [1, 10])
def test_the_smallest_and_the_largest_batch_work(batch_size):
    x, c = next(du.sprite_batches(*numbered(10), batch_size))
    assert x.shape == (batch_size, 3, 4, 4) and c.shape == (batch_size, 1)


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_impossible_batch_sizes_are_refused(batch_size):
    with pytest.raises(ValueError, match=f"from 1 to 10.*got {batch_size}"):
        next(du.sprite_batches(*numbered(10), batch_size))
