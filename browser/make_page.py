"""Put the page together that draws sprites in the browser, as a folder for any server of files.

    python -m browser.make_page --out build/site/browser
    python -m http.server --directory build/site/browser    and look at http://localhost:8000

It needs ``pip install onnx onnxscript``, and npm, which fetches the runtime into ``build/browser_npm`` the first time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from PIL import Image

from diffusion_utilities import faster, load_pretrained
from going_further.export import export_onnx
from support.cli import errors_in_one_line
from support.files import ROOT
from support.tables import write_text
from support.writing import replacing

HERE = Path(__file__).resolve().parent
PACKAGES = ROOT / "build" / "browser_npm"  # not beside package.json, so that the checkout stays clean
RUNTIME = PACKAGES / "node_modules" / "onnxruntime-web" / "dist"
# the smallest variant: for the CPU alone; the others are 3 to 14 MB larger
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
FILM = ROOT / "docs" / "sprites.gif"
NETWORK = "context_model_trained"


def install_runtime() -> None:
    """Fetch what package-lock.json names with npm, unless it is there.

    Raises:
        OSError: npm is not installed, or could not fetch it.
    """
    lock, stored = HERE / "package-lock.json", PACKAGES / "package-lock.json"
    if stored.exists() and stored.read_bytes() == lock.read_bytes() and RUNTIME.exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed: it comes with Node.js")
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PACKAGES)
    done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PACKAGES)
    if done.returncode:
        raise OSError(f"npm ci ended with {done.returncode} in {PACKAGES}")


def copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    with replacing(target) as part:
        shutil.copyfile(source, part)


def export_network(path: Path) -> None:
    """Write the course's network with contexts as ONNX, in float32.

    Raises:
        OSError: onnx or onnxscript is not installed, or the file cannot be written.
    """
    try:
        export_onnx(faster(load_pretrained(NETWORK, "cpu")), path)
    except ImportError as error:
        raise OSError(f"{error.name or error} is not installed: pip install onnx onnxscript") from error


def write_still(film: Path, path: Path) -> None:
    """The last picture of a film, for those who want no motion."""
    with Image.open(film) as pictures, replacing(path) as part:
        pictures.seek(pictures.n_frames - 1)
        pictures.convert("RGB").save(part)


def write_service_worker(out: Path, names: list[str]) -> None:
    """The service worker, with the names of the page's files and a digest that changes when any of them does."""
    source = (HERE / "page" / "service_worker.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(source.encode())
    for name in names:
        digest.update(name.encode() + (out / name).read_bytes())
    head = f'const VERSION = "{digest.hexdigest()[:16]}";\nconst FILES = {json.dumps(["./", *names])};\n'
    write_text(out / "service_worker.js", head + source)


def make_page(out: Path) -> int:
    """Write the whole page to the folder ``out``.

    Returns:
        its size in bytes.

    Raises:
        OSError: the runtime or a program is missing, or a file cannot be written.
    """
    install_runtime()
    page = HERE / "page"
    sources = {path.relative_to(page).as_posix(): path for path in sorted(page.rglob("*.*"))}
    del sources["service_worker.js"]  # it is written last, because it names the others
    sources |= {f"runtime/{name}": RUNTIME / name for name in RUNTIME_FILES} | {"sprites.gif": FILM}
    for name, source in sources.items():
        copy(source, out / name)
    write_still(FILM, out / "sprites.png")
    export_network(out / "context_model.onnx")
    names = [*sources, "sprites.png", "context_model.onnx"]
    write_service_worker(out, names)
    return sum((out / name).stat().st_size for name in [*names, "service_worker.js"])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make_page.py", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, such as build/site/browser")
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="close other programs"):
        size = make_page(args.out)
    print(f"done: {args.out}, {size / 1e6:.1f} MB; look at it with: python -m http.server --directory {args.out}")


if __name__ == "__main__":
    main()
