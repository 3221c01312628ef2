"""Data sets, from tiny files in the true formats; nothing is downloaded."""

import hashlib
import pickle
import re
import struct
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

import diffusion_utilities as du
from going_further import datasets


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """What torchvision calls to download finds no network."""

    def download(*args, **kwargs):
        raise URLError("no network in tests")

    for module in (torchvision.datasets.mnist, torchvision.datasets.cifar):
        monkeypatch.setattr(module, "download_and_extract_archive", download)


def as_images(pixels):
    """uint8 (n, channels, h, w) → what ``load`` should make of it."""
    return torch.from_numpy(pixels).float() / 127.5 - 1


def check_form(data):
    assert data.images.dtype == data.labels.dtype == torch.float32
    assert data.images.min() >= -1 and data.images.max() <= 1
    assert isinstance(data.class_names, tuple)


# ------------------------------------------------------------------------------------------ sprites


def test_sprites_of_the_course():
    data = datasets.load("sprites", du.ROOT / "data")
    check_form(data)
    assert data.images.shape == (1788, 3, 16, 16) and data.labels.shape == (1788, 5)
    assert data.class_names == du.CLASS_NAMES


def test_sprites_keep_their_pixels_and_mixed_labels(sprite_files):
    sprites_file, labels_file, sprites, labels = sprite_files
    sprites_file.rename(sprites_file.with_name("sprites_1788_16x16.npy"))
    labels_file.rename(labels_file.with_name("sprite_labels_nc_1788_16x16.npy"))
    data = datasets.load("sprites", str(sprites_file.parent))
    torch.testing.assert_close(data.images, as_images(sprites.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(data.labels, labels, rtol=1e-6)


def test_missing_sprites_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="sprites_1788"):
        datasets.load("sprites", tmp_path)


# -------------------------------------------------------------------------------------------- MNIST


def write_idx(path, array):
    """The idx format: two zeros, 8 for unsigned bytes, the number of axes, their lengths, the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_root(tmp_path):
    digits = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for name, images in (("train", digits), ("t10k", 255 - digits[:2])):
        write_idx(tmp_path / "MNIST" / "raw" / f"{name}-images-idx3-ubyte", images)
        write_idx(
            tmp_path / "MNIST" / "raw" / f"{name}-labels-idx1-ubyte",
            np.array([5, 0, 4, 1, 9, 2])[: len(images)],
        )
    return tmp_path, digits


def test_mnist(mnist_root):
    root, digits = mnist_root
    data = datasets.load("mnist", root)
    check_form(data)
    torch.testing.assert_close(data.images, as_images(digits[:, None]))
    assert torch.equal(data.labels, torch.eye(10)[[5, 0, 4, 1, 9, 2]])
    assert len(data.class_names) == 10 and data.class_names[5].startswith("5")


def test_damaged_mnist_is_reported(mnist_root):
    root, _ = mnist_root
    file = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(OSError, match=re.escape(f"MNIST is not complete in {root}")):
        datasets.load("mnist", root)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_network_and_files_the_folder_and_the_reason_are_named(name, tmp_path):
    with pytest.raises(OSError, match=rf"(?s){name.upper()} .*{re.escape(str(tmp_path))}.*download"):
        datasets.load(name, tmp_path)


# ----------------------------------------------------------------------------------------- CIFAR-10


def write_pickle(path, content):
    """The hash of the file that it writes."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar_root(tmp_path, monkeypatch):
    """Seven files like those of CIFAR-10. torchvision knows the true files by their hashes: here, it is told ours."""
    folder, rng = tmp_path / "cifar-10-batches-py", np.random.default_rng(0)
    pixels = rng.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)  # two in each of five files
    classes = "airplane automobile bird cat deer dog frog horse ship truck".split()
    train, labels = [], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    for i in range(5):
        batch = {
            "data": pixels[2 * i : 2 * i + 2].reshape(2, 3072),
            "labels": labels[2 * i : 2 * i + 2],
        }
        train.append([f"data_batch_{i + 1}", write_pickle(folder / f"data_batch_{i + 1}", batch)])
    test = [
        [
            "test_batch",
            write_pickle(folder / "test_batch", {"data": 255 - pixels[:1], "labels": [0]}),
        ]
    ]
    meta = {"filename": "batches.meta", "key": "label_names"}
    meta["md5"] = write_pickle(folder / "batches.meta", {"label_names": classes})
    for name, value in (("train_list", train), ("test_list", test), ("meta", meta)):
        monkeypatch.setattr(torchvision.datasets.CIFAR10, name, value)
    return tmp_path, pixels, labels, classes


def test_cifar10(cifar_root):
    root, pixels, labels, classes = cifar_root
    data = datasets.load("cifar10", root)
    check_form(data)
    torch.testing.assert_close(data.images, as_images(pixels))
    assert torch.equal(data.labels, torch.eye(10)[labels])
    assert data.class_names == tuple(classes)


def test_damaged_cifar10_is_not_used(cifar_root):
    """Its hash is checked, and what does not fit is downloaded again, which fails here."""
    root, *_ = cifar_root
    file = root / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(OSError, match=re.escape(f"CIFAR10 is not complete in {root}")):
        datasets.load("cifar10", root)


# --------------------------------------------------------------------------------- folder of images


def save(root, name, image, **options):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def load_one(root, **options):
    """The only picture there, as uint8 (h, w, 3)."""
    data = datasets.load("custom", root, **options)
    check_form(data)
    assert len(data.images) == 1 and data.images.shape[1] == 3
    return ((data.images[0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()


def test_subfolders_are_the_classes(tmp_path):
    for name, colour in (
        ("dog/1.png", 10),
        ("cat/b.png", 30),
        ("cat/a.JPG", 20),
        ("cat/more/c.bmp", 40),
    ):
        save(tmp_path, name, Image.new("RGB", (8, 6), (colour,) * 3))
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    data = datasets.load("custom", tmp_path)
    check_form(data)
    assert data.images.shape == (4, 3, 6, 8)
    assert ((data.images[:, 0, 0, 0] + 1) * 127.5).tolist() == pytest.approx([20, 30, 40, 10], abs=1e-3)
    assert data.class_names == ("cat", "dog")
    assert torch.equal(data.labels, torch.eye(2)[[0, 0, 0, 1]])


def test_pixels_of_a_png_arrive_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    save(tmp_path, "a/1.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(load_one(tmp_path), pixels)


def test_transparency_becomes_white(tmp_path):
    """Red that is not there, black that is half there, green that is there."""
    pixels = np.array([[[255, 0, 0, 0], [0, 0, 0, 128], [0, 255, 0, 255]]], dtype=np.uint8)
    save(tmp_path, "a/1.png", Image.fromarray(pixels))
    assert load_one(tmp_path).tolist() == [[[255, 255, 255], [127, 127, 127], [0, 255, 0]]]


def test_transparency_of_grey_becomes_white(tmp_path):
    save(tmp_path, "a/1.png", Image.fromarray(np.array([[[9, 0], [9, 255]]], dtype=np.uint8), "LA"))
    assert load_one(tmp_path)[0, :, 0].tolist() == [255, 9]


def test_palettes_are_converted_with_their_transparent_entry(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 0, 255, 7, 8, 9])
    image.putdata([0, 1, 2])
    save(tmp_path, "a/1.png", image, transparency=0)
    assert load_one(tmp_path).tolist() == [[[255, 255, 255], [0, 0, 255], [7, 8, 9]]]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 100, 255]], dtype=np.uint8), [0, 100, 255]),
        (np.array([[0, 100 * 257, 65535]], dtype=np.uint16), [0, 100, 255]),
        (np.array([[False, True, True]]), [0, 255, 255]),
    ],
    ids=["8 bit", "16 bit", "1 bit"],
)
def test_grey_becomes_colour(pixels, expected, tmp_path):
    save(tmp_path, "a/1.png", Image.fromarray(pixels))
    assert load_one(tmp_path)[0].tolist() == [[value] * 3 for value in expected]


def test_photos_stand_upright(tmp_path):
    """A camera held on its side stores the picture lying, and a note of it."""
    image, note = Image.new("RGB", (16, 8), "white"), Image.Exif()
    image.paste("black", (0, 0, 8, 8))  # the left half
    note[274] = 6  # to be turned to the right by a quarter
    save(tmp_path, "a/1.jpg", image, exif=note, quality=95)
    upright = load_one(tmp_path)
    assert upright.shape == (16, 8, 3)
    assert upright[:7].max() < 20 and upright[9:].min() > 235


def test_pictures_of_other_sizes_are_cut_square_and_resized(tmp_path):
    """Wide and high: the square in the middle is kept, and not squeezed. Its rim takes a little of what is cut off."""
    for name, size, box in (
        ("wide", (60, 20), (20, 0, 40, 20)),
        ("high", (10, 40), (0, 15, 10, 25)),
    ):
        image = Image.new("RGB", size, "blue")
        image.paste("red", box)
        save(tmp_path, f"a/{name}.png", image)
    data = datasets.load("custom", tmp_path, image_size=10)
    assert data.images.shape == (2, 3, 10, 10)
    red = torch.tensor([1.0, -1, -1])[None, :, None, None]
    assert (data.images - red).abs().max() < 0.2


def test_pictures_of_different_size_need_an_image_size(tmp_path):
    save(tmp_path, "a/1.png", Image.new("RGB", (8, 4)))
    other = save(tmp_path, "a/2.png", Image.new("RGB", (6, 4)))
    with pytest.raises(ValueError, match=rf"8×4 and, in {re.escape(str(other))}, 6×4"):
        datasets.load("custom", tmp_path)


def truncated(path):
    save(path.parent, path.name, Image.effect_noise((64, 64), 50))
    path.write_bytes(path.read_bytes()[:1000])


def not_a_picture(path):
    path.parent.mkdir(parents=True)
    path.write_text("hello")


@pytest.mark.parametrize("spoil", [truncated, not_a_picture])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_broken_picture_is_named(spoil, suffix, tmp_path):
    path = tmp_path / "a" / f"1.{suffix}"
    spoil(path)
    with pytest.raises(ValueError, match=re.escape(f"{path} is not a complete picture")):
        datasets.load("custom", tmp_path, image_size=8)


def test_no_other_program_is_asked_about_a_picture(tmp_path):
    """Pillow hands files in PostScript to Ghostscript, whatever their names end in."""
    path = tmp_path / "a" / "1.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match="no picture inside"):
        datasets.load("custom", tmp_path, image_size=8)


@pytest.mark.parametrize("links", [{"cat/again": "cat"}, {"cat/all": "."}, {"cat/x": "dog", "dog/y": "cat"}])
def test_a_link_that_leads_back_is_named(tmp_path, links):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    (tmp_path / "fox").symlink_to(tmp_path / "dog")  # a folder that is a link leads nowhere back
    assert len(datasets.load("custom", tmp_path).images) == 3
    for link, target in links.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    with pytest.raises(ValueError, match="is a link that leads back to a folder it lies in"):
        datasets.load("custom", tmp_path)


def test_folders_without_what_is_needed_are_named(tmp_path):
    # empty
    with pytest.raises(ValueError, match=rf"expected pictures in {re.escape(tmp_path.name)}, got none"):
        datasets.load("custom", tmp_path)
    save(tmp_path, "loose.png", Image.new("RGB", (8, 8)))
    assert datasets.load("custom", tmp_path).class_names == (tmp_path.name,)  # one class
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="or no folders at all, got 1 beside the folders, such as loose.png"):
        datasets.load("custom", tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        datasets.load("custom", tmp_path / "nowhere")


def test_what_machines_leave_behind_is_passed_over(tmp_path):
    kinds = {"cat": 1, ".ipynb_checkpoints": 2, "__MACOSX": 3, "@eaDir": 4}
    for name, grey in kinds.items():
        save(tmp_path, f"{name}/1.png", Image.new("RGB", (8, 8), (grey,) * 3))
        save(tmp_path, f"cat/{name}/2.gif", Image.new("RGB", (8, 8), (grey + 10,) * 3))
    (tmp_path / "cat/._1.png").write_text("no picture")
    data = datasets.load("custom", tmp_path)
    assert data.class_names == ("cat",) and len(data.images) == 2


def test_numbers_of_32_bits_are_refused(tmp_path):
    path = save(tmp_path, "a/1.tif", Image.fromarray(np.ones((8, 8), np.float32)))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is not a complete picture: numbers of 32 bits"):
        datasets.load("custom", tmp_path)


# ----------------------------------------------------------------------------------------- all sets


def test_sets_are_resized_and_stay_in_range(mnist_root, cifar_root):
    for name, (root, *_) in (
        ("mnist", mnist_root),
        ("cifar10", cifar_root),
        ("sprites", (du.ROOT / "data",)),
    ):
        small, large = (datasets.load(name, root, image_size=size) for size in (8, 40))
        check_form(small)
        assert small.images.shape[2:] == (8, 8) and large.images.shape[2:] == (40, 40)
        plain = datasets.load(name, root).images
        means = [images.mean(dim=(2, 3)) for images in (plain, small.images, large.images)]
        assert (means[1] - means[0]).abs().max() < 0.1 and (means[2] - means[0]).abs().max() < 0.1


def test_resizing_does_not_lose_thin_lines():
    """One row of sixteen: antialiased, each of the four new rows near it is an average."""
    images = torch.full((1, 1, 16, 16), -1.0)
    images[:, :, 4] = 1
    assert datasets._resized(images, 4).max() > -0.9


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("imagenet", None, "sprites, mnist, cifar10, custom, got 'imagenet'"),
        ("sprites", 0, "at least 1, got 0"),
    ],
)
def test_unknown_names_and_sizes_are_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(name, du.ROOT / "data", size)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3, 4, 4), (2, 3)), ((2, 3, 4, 4), (3, 2)), ((2, 4, 4), (2, 2)), ((2, 3, 4, 4), (2,))],
    ids=str,
)
def test_contradictory_sets_are_refused(shapes):
    with pytest.raises(ValueError, match="expected images"):
        datasets.ImageData(*(torch.zeros(shape) for shape in shapes), ("a", "b"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_mirror_turns_about_half_left_to_right(channels):
    images = torch.randn(400, channels, 3, 5)
    mirrored = datasets.mirror(images, torch.Generator().manual_seed(0))
    turned = (mirrored == images.flip(3)).flatten(1).all(dim=1)
    same = (mirrored == images).flatten(1).all(dim=1)
    assert (turned ^ same).all() and 150 < turned.sum() < 250
    assert torch.equal(mirrored, datasets.mirror(images, torch.Generator().manual_seed(0)))
