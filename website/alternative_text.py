"""Words in place of a picture, for who cannot see it, taken from what the notebook says around it."""

from __future__ import annotations

import re

from support.players import self_contained

KINDS = {  # of pictures, by what draws them
    "Animation": r"\bplay\(|to_jshtml\(",
    "Sprites": r"\b(show_images|film_strip|mosaic)\(",
    "Plot": r"\.(plot|hist|bar|barh|errorbar|scatter|quiver|loglog)\(",
}
# *in italics*, or a sentence that says what the rows are
CAPTION = re.compile(r"\*(?!\*)(?:Caption: )?((?:[^*]|\*\*)+)\*|((?:Each (?:row|column)|Rows)\b.+?\.)\s")
LONGEST = 300  # characters; a screen reader cannot skip within such a text


def with_alternative_texts(notebook: dict) -> None:
    """Give the pictures and players of each code cell their words. Words that they have are kept.

    MyST-NB reads the words of a picture at ``mystnb: image: alt`` of the cell's metadata.
    """
    cells, heading, before = notebook["cells"], "", ""
    for i, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = ([heading] + re.findall(r"^#+ (.+)$", source, re.MULTILINE))[-1]
            before = source
            continue
        after = next(("".join(later["source"]) for later in cells[i + 1 :] if later["cell_type"] == "markdown"), "")
        words = alternative_text(source, heading, before, after)
        for data in [output["data"] for output in cell.get("outputs", []) if "data" in output]:
            if "image/png" in data:
                cell["metadata"].setdefault("mystnb", {}).setdefault("image", {}).setdefault("alt", words)
            if "text/html" in data:
                data["text/html"] = self_contained("".join(data["text/html"]), words)


def alternative_text(code: str, heading: str, before: str, after: str) -> str:
    """What a picture is: its kind, the section, and what the text says of it, as a caption below or a sentence above.

    >>> alternative_text("show_images(x)", "2 · The sprites", "Look at them:", "*One row each.* All are small.")
    'Sprites, in the section “2 · The sprites”: One row each.'
    """
    kind = next((kind for kind, calls in KINDS.items() if re.search(calls, code)), "Picture")
    caption = CAPTION.match(after)
    words = in_words(caption[1] or caption[2] if caption else last_sentences(before))
    place = in_words(heading)
    text = (f"{kind}, in the section “{place}”" if place else kind) + (f": {words}" if words else "")
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"


def last_sentences(text: str) -> str:
    """The end of a text that leads to a picture, without questions and formulas; nothing of the task of an exercise."""
    if text.startswith("### Exercise"):
        return ""
    text = re.sub(r"<details>.*?</details>|\*\*Predict first:\*\*", "", text, flags=re.DOTALL)
    paragraphs = [part for part in text.split("\n\n") if part.strip() and not part.startswith(("#", "$$", "|"))]
    sentences = re.split(r"(?<=[.?])\s+", paragraphs[-1].strip()) if paragraphs else []
    return " ".join([sentence for sentence in sentences if not re.search(r"\?\W*$", sentence)][-2:])


def in_words(text: str) -> str:
    r"""Markdown and TeX as they may be read aloud.

    >>> in_words(r"*Error* of $\bar\alpha_t$, see [Lab 4](L4.ipynb)")
    'Error of alpha bar t, see Lab 4'
    """
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\$([^$]+)\$", lambda formula: _spoken(formula[1]), text)
    return " ".join(re.sub(r"[*`#]|<[^>]+>", "", text).split())


def _spoken(formula: str) -> str:
    formula = re.sub(r"\\(bar|hat|tilde)\s*\\?\{?\\?([A-Za-z]+)\}?", lambda accent: f"{accent[2]} {accent[1]}", formula)
    formula = (
        re.sub(r"\\text\b", "", formula).replace(r"\sqrt", " root of ").replace("_", " ").replace("^", " to the power ")
    )
    return re.sub(r"[\\{}]", " ", re.sub(r"\\[;,!]", " ", formula)).strip()
