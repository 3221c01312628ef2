"""Build the site.

    python -m website.build                 to build/site
    python -m website.build --out FOLDER

What lies in FOLDER/browser, the page that draws sprites, is left there; the front page links to it if it is there.
Any warning of Sphinx ends the program, and so does anything that `website.check` finds.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from support.cli import errors_in_one_line
from website.check import faults
from website.stage import HERE, ROOT, stage

BROWSER = "browser"


def build(out: Path, repository: str = "", branch: str = "main") -> None:
    """Build the site into the folder ``out``, whose other content goes, but for the folder ``browser``.

    Args:
        repository: owner/name on GitHub, for links to it and buttons that start a notebook.

    Raises:
        ValueError: Sphinx warned; there is a dead link or the like; or ``out`` holds what is no site.
    """
    source, between = out.with_name(f"{out.name}_source"), out.with_name(f"{out.name}_doctrees")
    inside = list(out.iterdir()) if out.exists() else []
    if inside and not source.exists() and not (out / BROWSER).exists():
        raise ValueError(f"expected an empty folder or an earlier site at {out}")
    from sphinx.cmd.build import build_main  # where it is missing, nothing is lost

    for path in inside:
        if path.name != BROWSER:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(between, ignore_errors=True)
    stage(source, repository, branch)
    known = {"SITE_REPOSITORY": repository, "SITE_BRANCH": branch, "SITE_SOURCE": str(source.resolve())}
    os.environ.update(known)  # conf.py has no arguments
    options = ["--quiet", "--fail-on-warning", "--builder", "html", "--conf-dir", HERE, "--doctree-dir", between]
    if build_main([str(argument) for argument in (*options, source, out)]):
        raise ValueError("Sphinx warned, see above; the site is not complete")
    found = faults(out)
    if found:
        raise ValueError("; ".join([f"{len(found)} faults", *found]))


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="website.build", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="default: build/site")
    out = parser.parse_args(argv).out
    try:
        with errors_in_one_line(parser, memory="close other programs"):
            build(out, os.environ.get("GITHUB_REPOSITORY", ""), os.environ.get("SITE_BRANCH", "main"))
    except ImportError as error:
        parser.exit(
            2, f"{parser.prog}: error: {error}; `pip install -r requirements-site.txt` brings what is missing\n"
        )
    print(f"open {out / 'index.html'}")


if __name__ == "__main__":
    main()
