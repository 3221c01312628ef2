"""Files: written whole or not at all, checkpoints read with suspicion, the course's own found from any folder."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import support.checks as check
from support.writing import replacing

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS_DIR = ROOT / "weights"
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before each name


def save_weights(obj: object, path: str | Path) -> None:
    """``torch.save`` that leaves either the old file or the whole new one, whenever it is stopped."""
    with replacing(path) as part:
        torch.save(obj, part)


def find(path: str | Path, folder: Path) -> Path:
    """The path itself if it is there, else the course's own file of that name, and a line that says so.

    ``weights/x.pth`` is looked for in the course, and a bare ``x.npy`` in ``folder`` of the course.
    """
    path = Path(path).expanduser()
    if path.exists() or path.is_absolute():
        return path
    bare = path.parent == Path()
    for ours in [ROOT / path] + [folder / path.name] * bare:
        if ours.is_file():
            print(f"{path} is not here: taking the course's own {ours.relative_to(ROOT).as_posix()}")
            return ours
    return path


def find_weights(name_or_path: str | Path) -> Path:
    """The file of a checkpoint given by its name in ``weights/`` or by its path; ".pth" may be left out."""
    if not isinstance(name_or_path, str | Path) or not str(name_or_path).strip():
        raise ValueError(f"expected the name or path of a checkpoint, got {name_or_path!r:.80}")
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    folder = WEIGHTS_DIR if str(name_or_path) == path.name else path.parent
    return find(folder / (path.name.removesuffix(".pth") + ".pth"), WEIGHTS_DIR)


def read_checkpoint(path: str | Path) -> object:
    """What is in a PyTorch checkpoint, its tensors on the CPU; no code in it is ever run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short or damaged, is no checkpoint, holds more than tensors and plain
            values, or claims more numbers than it holds. The message is one line.
    """
    path = Path(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in WEIGHTS_DIR.glob("*.pth")))
        raise FileNotFoundError(f"no checkpoint at {path}; by name there are: {known or 'none'}")
    with path.open("rb") as file:
        if file.read(40).startswith(b"version https://git-lfs"):
            raise ValueError(f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull`")
    try:
        _check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch names what it would have to import or to call, and then advises to do so
        if re.search(
            "global|class|function",
            str(error).partition("WeightsUnpickler error:")[2],
            re.IGNORECASE,
        ):
            reason = "holds more than tensors and plain values; such a file may run any program, so it is not loaded"
            raise ValueError(f"{path} {reason}") from None
        raise ValueError(f"{path} is not a complete PyTorch checkpoint") from None
    except Exception as error:  # torch raises a different type for every way in which a file can be broken
        raise ValueError(f"{path} is not a complete PyTorch checkpoint: {_one_line(error)}") from error
    size = path.stat().st_size
    if any(tensor.numel() * tensor.element_size() > size for tensor in _tensors(content)):
        raise ValueError(f"{path} claims more numbers than a file of {size:,} bytes can hold")
    return content


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _check_zip(path: Path) -> None:
    """The checksums in a zip archive, which torch.load does not look at. Old files are no archives."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise ValueError("it is compressed, which PyTorch's are not")
        if broken := archive.testzip():
            raise ValueError(f"the checksum of {broken} is wrong: the file is damaged")


def _tensors(content: object) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict | list | tuple):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _tensors(value)


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The state_dict in a file, the prefixes of DataParallel and torch.compile taken off its names.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_checkpoint`; also if there is no state_dict.
    """
    path = Path(path)
    content = read_checkpoint(path)
    try:
        state = without_prefix(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    _check_hash(path)
    return state


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict as it is without DataParallel and torch.compile, which put a word before each name.

    Raises:
        ValueError: no dictionary of tensors by name.
    """
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise ValueError(f"expected a state_dict, tensors by name, got {type(state).__name__}")
    state = dict(state)
    for prefix in PREFIXES * 2:  # there may be both, in either order
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _check_hash(path: Path) -> None:
    """Warn where a file of ``weights/`` is not the one that ``weights/metrics.json`` describes."""
    record = WEIGHTS_DIR / "metrics.json"
    if path.resolve().parent != WEIGHTS_DIR or not record.is_file():
        return
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))["sha256"].get(path.name)
    except (ValueError, KeyError, TypeError, AttributeError):
        warnings.warn(
            f"weights/metrics.json is damaged, so {path.name} was not compared with it",
            stacklevel=4,
        )
        return
    if expected and sha256(path) != expected:
        warnings.warn(
            f"{path.name} is not the file that weights/metrics.json describes: its SHA-256 differs. It is damaged, "
            "or was trained again; the figures of the model card do not hold for it.",
            stacklevel=4,
        )


def read_json(path: str | Path) -> dict:
    """The dictionary in a JSON file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a complete JSON file: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected a dictionary in {path}, got {type(content).__name__}")
    return content


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def load_sprites(sfilename: str | Path, lfilename: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read and check a pair of .npy files: sprites uint8 (n, h, w, 3) and labels float32 (n, number of classes).

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is cut short or no array, or the arrays have the wrong shape, type or count, or hold NaN.
    """
    sprites, labels = (_read_array(name) for name in (sfilename, lfilename))
    try:
        sprites = check.sprites(sprites, 4)
        if len(sprites) == 0:
            raise ValueError(f"expected at least one sprite, got {sprites.dtype} {sprites.shape}")
    except ValueError as error:
        raise ValueError(f"{sfilename}: {error}") from None
    try:
        with np.errstate(over="ignore"):
            labels = check.labels(labels, len(sprites)).astype(np.float32)
        return sprites, check.labels(labels, len(sprites))  # some are too large for float32
    except ValueError as error:
        raise ValueError(f"{lfilename}: {error}") from None


def _read_array(name: str | Path) -> np.ndarray:
    """The array in a .npy file, the course's own in data/ where only a bare name of ours is given."""
    if not isinstance(name, str | Path) or not str(name).strip():
        raise ValueError(f"expected the path of a .npy file, got {name!r:.80}")
    path = find(name, ROOT / "data")
    if not path.is_file():
        raise FileNotFoundError(f"no file {name}")
    try:
        # as a view of the file: a header that claims too much is found before memory is taken
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"a {type(array).__name__}")
        return np.array(array)
    except Exception as error:  # NumPy raises a different type for every way in which a file can be broken
        reason = f"{name} is not a complete .npy array of numbers: {_one_line(error)}"
        raise ValueError(reason) from error
