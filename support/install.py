"""Install what the course needs, with the small build of PyTorch where there is no GPU.

    python -m support.install                 decide by itself, and say what is taken
    python -m support.install --torch cpu     the small build
    python -m support.install --torch cuda    the build for NVIDIA GPUs

It installs into the environment whose Python runs it. On Linux, the package index holds only the build of PyTorch for
NVIDIA GPUs, of several GB. The small build, without CUDA, lies on PyTorch's own server. On Windows and macOS the
package index holds a small build, so nothing is to be decided there. What is installed already and fits stays, also if
it is the other build: remove the environment first to change it.

Only Python's own library is used, because nothing else is installed yet.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import urllib.request
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMALL_BUILDS = "https://download.pytorch.org/whl/cpu"


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is installed and finds a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        answer = subprocess.run([program, "-L"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and b"GPU" in answer.stdout


def answers(address: str, seconds: float = 5) -> bool:
    """Whether a server sends this page soon."""
    try:
        with urllib.request.urlopen(address, timeout=seconds) as page:
            return page.status == 200
    except (OSError, ValueError):  # among them urllib's own errors
        return False


def choose(torch: str, system: str = sys.platform) -> tuple[list[str], str]:
    """What pip needs to be told for a build of PyTorch, and a sentence that says which one that is.

    Args:
        torch: ``auto``, ``cpu`` or ``cuda``.
        system: as in ``sys.platform``.

    Raises:
        ValueError: there is no such build for this system, or it cannot be had now.
    """
    if not system.startswith("linux"):
        if torch == "cuda":
            raise ValueError(
                "pip's PyTorch for this system has no CUDA: on Windows, first install PyTorch by the command that "
                "https://pytorch.org/get-started/locally shows, then run this again without --torch"
            )
        return [], "PyTorch: pip's build for this system, without CUDA"
    gpu = has_nvidia_gpu() if torch == "auto" else torch == "cuda"
    if gpu:
        found = "an NVIDIA GPU was found" if torch == "auto" else "as you asked"
        return [], f"PyTorch: the build for NVIDIA GPUs, several GB ({found})"
    if answers(f"{SMALL_BUILDS}/torch/"):
        found = "no NVIDIA GPU was found" if torch == "auto" else "as you asked"
        return ["--extra-index-url", SMALL_BUILDS], f"PyTorch: the small build, without CUDA ({found})"
    if torch == "cpu":
        raise ValueError(f"the server of the small build does not answer ({SMALL_BUILDS}): try again later")
    return [], "PyTorch: pip's default build, several GB, since the server of the small build does not answer"


def commands(options: list[str]) -> list[list[str]]:
    """What is run: PyTorch from where it was chosen, then all else from where pip always looks."""
    pip = [sys.executable, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt")]
    rest = [*pip, "-r", str(ROOT / "requirements.txt")]
    return [[*pip, "torch", "torchvision", *options], rest] if options else [rest]


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all was installed."""
    parser = argparse.ArgumentParser(prog="python -m support.install", description="Install what the course needs.")
    parser.add_argument("--torch", choices=("auto", "cpu", "cuda"), default="auto", help="which PyTorch, on Linux")
    wanted = parser.parse_args(arguments).torch
    try:
        options, sentence = choose(wanted)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(sentence, flush=True)
    for command in commands(options):
        if code := subprocess.run(command).returncode:
            return code
    print(f"PyTorch {version('torch')} is installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
