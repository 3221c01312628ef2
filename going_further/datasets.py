"""Pictures to train on, whole sets as tensors: sprites, MNIST, CIFAR-10, or a folder of your own.

``load("custom", "photos", image_size=64)`` reads ``photos/cat/1.png``, ``photos/dog/7.jpg`` and so on: the subfolders
are the classes. A folder means the same here as to the capstone (support/picture_files.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import CIFAR10, MNIST

from diffusion_utilities import CLASS_NAMES, ROOT, load_sprites, sprite_tensors
from going_further import options
from support.picture_files import find_pictures, open_picture

MOST_PIXELS = 150_000_000  # of a photograph; more would take gigabytes of memory


@dataclass(frozen=True, eq=False)
class ImageData:
    """A set of pictures and what they show.

    Attributes:
        images: float32 (n, channels, h, w), values in [-1, 1].
        labels: float32 (n, classes), one-hot; sprites may also be mixed, such as 0.6 and 0.4.
        class_names: the names of the classes.

    Raises:
        ValueError: the numbers of pictures, labels and names contradict each other.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        expected = (len(self.images), len(self.class_names))
        if self.images.ndim != 4 or self.labels.shape != expected:
            raise ValueError(
                f"expected images (n, channels, h, w) and labels of shape {expected}, "
                f"got {tuple(self.images.shape)} and {tuple(self.labels.shape)}"
            )


def load(name: str, root: str | Path, image_size: int | None = None) -> ImageData:
    """A data set by name.

    Args:
        name: "sprites", "mnist" or "cifar10" (the training sets; torchvision downloads them on first use), or "custom".
        root: the folder that holds the files, or that they are downloaded to.
        image_size: height and width wanted; None leaves the pictures as they are. Photos that are not square lose their
            edges; other sets are squares already.

    Raises:
        ValueError: an unknown name or size, a file that is no complete picture, or a folder without what is needed.
        FileNotFoundError: no such folder or file.
        OSError: a set that is neither there and complete nor could be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"expected a data set out of {', '.join(DATASETS)}, got {name!r}")
    if image_size is not None and image_size < 1:
        raise ValueError(f"expected an image_size of at least 1, got {image_size}")
    return DATASETS[name](Path(root), image_size)


def folder_of(name: str, given: Path | None) -> Path:
    """The folder that the pictures of a data set lie in, or are downloaded to.

    Args:
        given: the folder of --data; None is the usual one.

    Raises:
        ValueError: "custom" has no usual one.
    """
    if given is not None:
        return given
    if name == "custom":
        raise ValueError(
            "expected --data with the folder of your pictures, a subfolder for each class, because "
            "the data set is custom; got no --data"
        )
    return ROOT / "data" if name == "sprites" else Path("downloads")


def mirror(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Mirror pictures (n, channels, h, w) left to right, each with probability 1/2.

    For any number of channels, and without the change of hue of the module's ``augment``, which is made for sprites.
    Not for MNIST: a mirrored 2 is no digit.
    """
    mirrored = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _sprites(root: Path, image_size: int | None) -> ImageData:
    arrays = load_sprites(root / "sprites_1788_16x16.npy", root / "sprite_labels_nc_1788_16x16.npy")
    images, labels = sprite_tensors(*arrays)
    return ImageData(_resized(images, image_size), labels, CLASS_NAMES)


def _mnist(root: Path, image_size: int | None) -> ImageData:
    data = _torchvision(MNIST, root)
    # (n, 28, 28) → (n, 1, 28, 28)
    return _pack(data.data[:, None], data.targets, data.classes, image_size)


def _cifar10(root: Path, image_size: int | None) -> ImageData:
    data = _torchvision(CIFAR10, root)
    pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2)  # (n, 32, 32, 3) → (n, 3, 32, 32)
    return _pack(pixels, torch.tensor(data.targets), data.classes, image_size)


def _custom(root: Path, image_size: int | None) -> ImageData:
    classes, _ = find_pictures(root)
    pixels, targets = [], []
    for number, paths in enumerate(classes.values()):
        for path in paths:
            image = _on_white(path)
            if image_size is not None:
                # the largest square in the middle, made that size
                image = ImageOps.fit(image, (image_size, image_size))
            if pixels and image.size != (pixels[0].shape[1], pixels[0].shape[0]):
                first = f"{pixels[0].shape[1]}×{pixels[0].shape[0]}"
                raise ValueError(
                    f"expected pictures of one size, or an image_size to bring them to, "
                    f"got {first} and, in {path}, {image.width}×{image.height}"
                )
            pixels.append(np.asarray(image))
            targets.append(number)
    pixels = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)  # (n, h, w, 3) → (n, 3, h, w)
    return _pack(pixels, torch.tensor(targets), list(classes), None)


def _on_white(path: Path) -> Image.Image:
    """A picture of any mode as RGB, upright, transparency on white.

    Raises:
        ValueError: the file is no complete picture.
    """
    try:
        image, _ = open_picture(path, MOST_PIXELS)
    except ValueError as error:
        raise ValueError(f"{path} is not a complete picture: {error}") from error
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _torchvision(dataset: type, root: Path) -> MNIST | CIFAR10:
    """One of torchvision's training sets, downloaded if it is not in ``root``."""
    try:
        return dataset(root, train=True, download=True)
    except Exception as error:  # no network, no room, a hash that differs, a file cut short: all come as other types
        raise OSError(
            f"{dataset.__name__} is not complete in {root}, and could not be downloaded: {error} "
            "If files are damaged, delete them and try again."
        ) from error


def _pack(pixels: Tensor, targets: Tensor, class_names: list[str], image_size: int | None) -> ImageData:
    """uint8 pixels (n, channels, h, w) and class numbers (n,) as ImageData."""
    images = pixels.float().contiguous() / 127.5 - 1
    labels = F.one_hot(targets.long(), len(class_names)).float()
    return ImageData(_resized(images, image_size), labels, tuple(class_names))


def _resized(images: Tensor, image_size: int | None) -> Tensor:
    if image_size is None or images.shape[2:] == (image_size, image_size):
        return images
    # antialiased, or thin lines would vanish where a picture is made smaller
    return F.interpolate(images, (image_size, image_size), mode="bilinear", antialias=True)


DATASETS: dict[str, Callable[[Path, int | None], ImageData]] = dict(
    zip(options.DATASETS, (_sprites, _mnist, _cifar10, _custom), strict=True)
)
