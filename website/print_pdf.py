"""Print the labs as PDF files, by the browser, from the site that was built.

    python -m website.print_pdf                          the four labs and the capstone, to build/pdf
    python -m website.print_pdf going_further/flows      any other page, by its path on the site

What is for paper stands at the end of static/course.css: no sidebars, no players, since a film strip stands below each,
and folds are open, but for those of an exercise sheet.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.cli import errors_in_one_line
from support.writing import replacing
from website.stage import LABS, ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str:
    """The path of a browser that prints.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [path for name in BROWSERS if (path := shutil.which(name))] + [str(MAC)] * MAC.exists()
    if not found:
        raise FileNotFoundError(f"expected a browser that prints, one of {', '.join(BROWSERS)}; none is on the PATH")
    return found[0]


def print_page(page: Path, to: Path) -> None:
    """Print a page of the site, once its formulas are set, to the file ``to``.

    Raises:
        OSError: there is no such page, or the browser printed nothing.
    """
    if not page.is_file():
        raise FileNotFoundError(f"expected a page of the site, there is no {page}; `make site` builds it")
    options = ["--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer", "--virtual-time-budget=60000"]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.append("--no-sandbox")  # Chromium does not start its sandbox for root, as in a container
    with tempfile.TemporaryDirectory() as profile, replacing(to) as part:
        where = [f"--user-data-dir={profile}", f"--print-to-pdf={part.resolve()}", page.resolve().as_uri()]
        done = subprocess.run([find_browser(), *options, *where], capture_output=True, text=True, timeout=600)
        if not part.is_file():
            raise OSError(f"the browser printed nothing of {page}: {done.stderr.strip()[-300:]}")


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="website.print_pdf", description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", default=[f"{lab}/{lab}" for lab in LABS], help="default: the labs")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site", help="default: build/site")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "pdf", help="default: build/pdf")
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="close other programs"):
        for page in args.pages:
            to = args.out / f"{Path(page).name}.pdf"
            print_page(args.site / f"{page.removesuffix('.html')}.html", to)
            print(to)


if __name__ == "__main__":
    main()
