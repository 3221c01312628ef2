"""Files written whole or not at all. Without PyTorch, so that what only writes starts at once."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to in the block; afterwards the file is at ``path``, or the old one is as it was.

    Each call has a name of its own, so two programs that write the same file do not mix. Folders are made.
    The name ends like ``path``, because many a function chooses the format by the ending.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    part = path.with_name(f"{path.stem}.{own}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def can_write(path: str | Path) -> None:
    """OSError where a file cannot be written at ``path``, before time is spent on what is to be in it."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"expected a file to write to, {path} is a folder")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with tempfile.TemporaryFile(dir=folder):
        pass
