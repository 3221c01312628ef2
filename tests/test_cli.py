"""What ends a script: one line for people, and an exit status for programs."""

import argparse

import pytest
import torch

from support.cli import errors_in_one_line


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("expected a\n   number"), 2, "draw.py: error: expected a number\n"),
        (FileNotFoundError("no file x"), 2, "draw.py: error: no file x\n"),
        (FloatingPointError("the loss is nan"), 1, "draw.py: stopped: the loss is nan\n"),
        (torch.OutOfMemoryError("CUDA"), 1, "draw.py: out of memory: draw fewer\n"),
        (KeyboardInterrupt(), 130, "\ndraw.py: stopped; go on with --resume\n"),
    ],
)
def test_each_error_has_its_line_and_its_status(error, status, said, capsys):
    parser = argparse.ArgumentParser(prog="draw.py")
    with (
        pytest.raises(SystemExit) as end,
        errors_in_one_line(parser, "draw fewer", "stopped; go on with --resume"),
    ):
        raise error
    assert end.value.code == status and capsys.readouterr().err == said


def test_a_mistake_in_the_program_is_not_hidden():
    with pytest.raises(TypeError), errors_in_one_line(argparse.ArgumentParser(), "draw fewer"):
        raise TypeError
