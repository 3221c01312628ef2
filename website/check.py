"""What must not be in a site: dead links, missing pictures, pictures without words, and anything loaded from elsewhere.

python -m website.check build/site
"""

from __future__ import annotations

import argparse
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = dict.fromkeys(("script", "img", "iframe", "source", "video", "audio"), "src") | {"link": "href"}
SAYS_ONLY = {"canonical", "next", "prev", "search", "index", "author", "license", "alternate"}  # kinds of <link>
IN_STYLES = re.compile(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)")


class Page(HTMLParser):
    """A page's places, links, loads and pictures without words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.wordless: list[str] = []
        self.in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names, links to and loads."""
        has = {name: value or "" for name, value in attrs}
        self.places |= {has[name] for name in ("id", "name") if name in has}
        self.in_style = tag == "style"
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        if tag == "img" and not has.get("alt", "").strip() and has.get("aria-hidden") != "true":
            self.wordless.append(has.get("src", "")[:60])
        if has.get(LOADS.get(tag, "")) and not (tag == "link" and SAYS_ONLY & set(has.get("rel", "").split())):
            self.loads.append(has[LOADS[tag]])
        self.loads += _in_styles(has.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Note what a style sheet within the page loads."""
        if self.in_style:
            self.loads += _in_styles(data)

    def handle_endtag(self, tag: str) -> None:
        """A style sheet ends with its tag."""
        self.in_style = False


def faults(site: Path) -> list[str]:
    """What is wrong, one line each, in the order of the pages.

    What other programs put there, in ``browser/``, is linked to, but not looked at.
    """
    site = site.resolve()
    own = [path for path in sorted(site.rglob("*")) if path.is_file() and path.relative_to(site).parts[0] != "browser"]
    # what the theme keeps in _static are templates, no pages
    pages = [path for path in own if path.suffix == ".html" and path.relative_to(site).parts[0] != "_static"]
    read = {path: Page(path.read_text(encoding="utf-8")) for path in pages}
    found = []
    for path, page in read.items():
        found += [f"{path.relative_to(site)}: {fault}" for fault in _faults(path, page, read, site)]
    for path in own:
        if path.suffix == ".css":
            loads = _in_styles(path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(site)}: {fault}" for fault in _missing(path, loads, site)]
    return found


def _faults(path: Path, page: Page, read: dict[Path, Page], site: Path) -> list[str]:
    found = [f"a picture without words: {src}" for src in page.wordless] + _missing(path, page.loads, site)
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue  # elsewhere: this needs no network
        target = _file(path, parts.path)
        if not target.is_file() or not target.is_relative_to(site):
            found.append(f"a dead link: {link}")
        elif parts.fragment and target in read and unquote(parts.fragment) not in read[target].places:
            found.append(f"a link to a place that is not there: {link}")
    return found


def _missing(path: Path, loads: list[str], site: Path) -> list[str]:
    found = []
    for load in loads:
        parts = urlsplit(load)
        if parts.scheme in ("http", "https") or parts.netloc:
            found.append(f"loaded from elsewhere: {load}")
        elif not parts.scheme and parts.path and not _file(path, parts.path).is_file():
            found.append(f"a missing file: {load}")
    return found


def _file(path: Path, link: str) -> Path:
    """The file that a link of the page leads to; a folder's is its index.html."""
    target = (path.parent / unquote(link)).resolve() if link else path.resolve()
    return target / "index.html" if target.is_dir() else target


def _in_styles(text: str) -> list[str]:
    return [first or second for first, second in IN_STYLES.findall(text)]


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="website.check", description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path)
    site = parser.parse_args(argv).site
    if not (site / "index.html").is_file():
        parser.error(f"expected a site, there is no {site / 'index.html'}")
    found = faults(site)
    if found:
        parser.exit(1, "\n".join([*found, f"{len(found)} faults", ""]))
    print("no dead links, no missing pictures, nothing loaded from elsewhere")


if __name__ == "__main__":
    main()
