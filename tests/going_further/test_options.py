"""What the scripts take: known before the slow imports, with the names of the programs."""

import subprocess
import sys

import pytest

from diffusion_utilities import ROOT
from going_further import datasets, options, schedules

WITHOUT = """
import runpy, sys
for name in ("torch", "torchvision", "numpy", "matplotlib", "accelerate", "PIL"):
    sys.modules[name] = None  # an import of it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("script", ["train", "sample", "evaluate", "ablate"])
def test_help_and_slips_need_no_slow_import(script, tmp_path):
    for given, status in (("--help", 0), ("--no-such-option", 2)):
        path = str(ROOT / "going_further" / f"{script}.py")
        command = [sys.executable, "-c", WITHOUT, path, given]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == status and "Traceback" not in done.stderr
        assert f"usage: {script}.py" in done.stdout + done.stderr


def test_every_name_has_its_program():
    assert tuple(datasets.DATASETS) == options.DATASETS
    assert tuple(schedules.SCHEDULES) == options.SCHEDULES
    assert schedules.SCHEDULES["cosine"] is schedules.cosine
    assert options.STEPS.keys() == options.ETAS.keys()
