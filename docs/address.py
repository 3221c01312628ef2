"""Where the course lives: write the buttons that open it elsewhere, once its address on GitHub is known.

    python -m docs.address OWNER/NAME

It writes the links of the README, the cell for Colab in docs/RUN_ANYWHERE.md, and `repository-code` of CITATION.cff.
Until then the pages say that the address is missing: a link that leads nowhere is worse than none.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from support.tables import with_blocks, write_text

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/RUN_ANYWHERE.md")
LABS = {
    "L1": "L1_Sampling/L1_Sampling_exercises.ipynb",
    "L2": "L2_Training/L2_Training_exercises.ipynb",
    "L3": "L3_Context/L3_Context_exercises.ipynb",
    "L4": "L4_FastSampling/L4_FastSampling_exercises.ipynb",
}
FIRST = "L1_Sampling/my_L1_Sampling.ipynb"  # what .binder/postBuild makes
UNKNOWN = "OWNER/NAME"
ADDRESS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+")


def buttons(address: str) -> str:
    """The line of links below the README's title."""
    if address == UNKNOWN:
        return (
            "Without installing ([how](docs/RUN_ANYWHERE.md)): once this repository has an address on GitHub, "
            "`python -m docs.address OWNER/NAME` writes links here that open the labs in Colab, Binder and Codespaces."
        )
    links = {f"{name} in Colab": colab(address, path) for name, path in LABS.items()}
    links["Binder"] = f"https://mybinder.org/v2/gh/{address}/HEAD?urlpath=lab/tree/{FIRST.replace('/', '%2F')}"
    links["Codespaces"] = f"https://codespaces.new/{address}?quickstart=1"
    line = " · ".join(f"[**{words}**]({link})" for words, link in links.items())
    return f"Without installing ([how](docs/RUN_ANYWHERE.md)): {line}"


def colab(address: str, path: str) -> str:
    """The address at which Colab opens a notebook of the repository."""
    return f"https://colab.research.google.com/github/{address}/blob/main/{path}"


def clone(address: str) -> str:
    """The first cell of a notebook in Colab."""
    lines = [
        f"!git clone --depth 1 https://github.com/{address} /content/course",
        "%cd /content/course",
        '%pip install -q "torch>=2.9" torchmetrics',
    ]
    return "\n".join(["```", *lines, "```"])


BLOCKS = {"buttons": buttons, "clone": clone}


def of(citation: str) -> str:
    """The address that stands in CITATION.cff, or OWNER/NAME."""
    found = re.search(r'^repository-code: "https://github\.com/(.+)"$', citation, re.MULTILINE)
    return found[1] if found else UNKNOWN


def with_repository(citation: str, address: str) -> str:
    """CITATION.cff with the line that says where the course lives."""
    lines = [line for line in citation.splitlines() if not line.startswith("repository-code:")]
    if address != UNKNOWN:
        lines.append(f'repository-code: "https://github.com/{address}"')
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line; 0 if all was written."""
    parser = argparse.ArgumentParser(prog="python -m docs.address", description="Write the links to the course.")
    parser.add_argument("address", metavar=UNKNOWN, help="as in the address of the repository on GitHub")
    address = parser.parse_args(arguments).address
    if not ADDRESS.fullmatch(address):
        parser.error(f"expected OWNER/NAME, as in octocat/hello-world, not {address!r}")
    pages = {root / page: with_blocks(text(root / page), address, BLOCKS, "address ") for page in PAGES}
    pages[root / "CITATION.cff"] = with_repository(text(root / "CITATION.cff"), address)
    for path, page in pages.items():
        write_text(path, page)
        print(f"wrote {path}")
    return 0


def text(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
