"""What the scripts share at their doors: errors in one sentence, with an exit status, in place of pages of text."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def errors_in_one_line(parser: argparse.ArgumentParser, memory: str, stopped: str = "stopped") -> Iterator[None]:
    """End the program where the block cannot go on.

    Args:
        memory: what to do where the memory does not suffice.
        stopped: what to say after an interrupt that has no text of its own.

    The exit status is 2 for arguments and files that cannot be used, 130 after an interrupt, and else 1.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {' '.join(str(error).split())}\n")
    except FloatingPointError as error:
        parser.exit(1, f"{parser.prog}: stopped: {error}\n")
    except RuntimeError as error:
        import torch  # slow, so that what needs no PyTorch starts without it

        if not isinstance(error, torch.OutOfMemoryError):
            raise
        parser.exit(1, f"{parser.prog}: out of memory: {memory}\n")
    except KeyboardInterrupt as error:
        parser.exit(130, f"\n{parser.prog}: {str(error) or stopped}\n")
