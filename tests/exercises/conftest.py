"""For the tests of every lab's checks.

A module test_checks_*.py has LAB, the lab's folder or the full name of its checks, and two tables:

    RIGHT = {"perturb_input": [the solution, the same written differently, …]}
    WRONG = {"perturb_input": {"missing square root": a function with this mistake, …}}

The tests of every_lab.py, and its own, get one case a line from them by asking for `right`, for `wrong` with
`diagnosis`, or for `exercise` alone.
"""

import importlib
import zlib

import numpy as np
import pytest
import torch

from exercise_tools import kit

pytest.register_assert_rewrite("tests.exercises.every_lab")


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    """Tests leave the learner's own progress alone."""
    monkeypatch.setenv("COURSE_PROGRESS", "off")


@pytest.fixture(autouse=True)
def the_same_numbers(request, monkeypatch):
    """A check draws new numbers at each call. In the tests of verdicts, the same ones in each run."""
    if hasattr(request.module, "LAB"):
        seed = zlib.crc32(request.node.name.encode())
        np.random.seed(seed)  # learners use NumPy as well
        monkeypatch.setattr(kit, "draw_anew", lambda: torch.manual_seed(seed))


@pytest.fixture(scope="module")
def checks(request):
    """The lab's checks.py; four labs have one, so it goes by the name of its folder."""
    lab = request.module.LAB
    return importlib.import_module(lab if "." in lab else f"{lab}.checks")


@pytest.fixture
def check(checks, exercise):
    """The check of the exercise at hand."""
    return getattr(checks, f"check_{exercise}")


def pytest_generate_tests(metafunc):
    wanted, module = set(metafunc.fixturenames), metafunc.module
    if "wrong" in wanted:
        cases = [(name, key, wrong) for name, variants in module.WRONG.items() for key, wrong in variants.items()]
        metafunc.parametrize("exercise, diagnosis, wrong", cases, ids=[f"{name}-{key}" for name, key, _ in cases])
    elif "right" in wanted:
        cases = [(name, right, f"{name}-{i}") for name, ways in module.RIGHT.items() for i, right in enumerate(ways, 1)]
        metafunc.parametrize("exercise, right", [case[:2] for case in cases], ids=[case[2] for case in cases])
    elif "exercise" in wanted:
        metafunc.parametrize("exercise", list(module.RIGHT))
