"""matplotlib's player of animations, made whole in itself. Without matplotlib: it is only text that is changed."""

from __future__ import annotations

import html
import re

# Of letters and signs that every system has, and none has as a coloured picture.
SYMBOLS = {
    "fa-minus": "-",
    "fa-fast-backward": "|◄",
    "fa-step-backward": "‹",
    "fa-play fa-flip-horizontal": "◄",
    "fa-pause": "||",
    "fa-play": "►",
    "fa-step-forward": "›",
    "fa-fast-forward": "►|",
    "fa-plus": "+",
}


def self_contained(player: str, words: str) -> str:
    """A player (HTML) that loads nothing from a server, with words for who cannot see it.

    matplotlib draws the buttons in a font that it has the page load: without a network they were blank. Here they are
    SYMBOLS; an icon that a later matplotlib may have brought becomes a dot. What each button does still shows at it.

    Args:
        player: what ``animation.to_jshtml()`` returns. A player that was changed before stays as it is.
        words: what is seen.
    """
    player = re.sub(r'<link rel="stylesheet"\s+href="https?:[^"]*">\s*', "", player)
    player = re.sub(r'<i class="fa ([\w -]+)"></i>', lambda icon: SYMBOLS.get(icon[1], "•"), player)
    words = html.escape(words)
    return re.sub(r'(<img [^>]*id="_anim_img\w*")>', lambda img: f'{img[1]} alt="{words}">', player, count=1)
