"""Players of animations need no network, and say what they are."""

import re

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation

from support import pictures
from support.players import SYMBOLS, self_contained

BUTTON = re.compile(r"<button[^>]*>(.*?)</button>", re.DOTALL)


@pytest.fixture(scope="module")
def plain():
    """A player by matplotlib itself."""
    fig, ax = plt.subplots(figsize=(1, 1))
    line = ax.plot([0, 1])
    plt.close(fig)
    return FuncAnimation(fig, lambda i: line, frames=2).to_jshtml()


def test_matplotlib_still_writes_what_is_replaced(plain):
    assert set(re.findall(r'<i class="fa ([\w -]+)">', plain)) == set(SYMBOLS)
    assert 'href="https' in plain  # once this fails, the function is no longer needed


def test_every_button_shows_a_symbol_without_a_font(plain):
    player = self_contained(plain, "two lines")
    assert [button.strip() for button in BUTTON.findall(player)] == list(SYMBOLS.values())
    assert "http" not in player and "font-awesome" not in player


def test_nothing_else_is_changed(plain):
    strip = re.compile(r'<i class.*?</i>|<link [^>]*>\s*| alt="[^"]*"|(?<=>)\s*[^<>\w]+(?=</button>)', re.DOTALL)
    assert strip.sub("", self_contained(plain, "x")) == strip.sub("", re.sub(r">\s+(?=<i class)", ">", plain))


def test_an_icon_that_a_later_matplotlib_may_have_is_a_dot():
    player = '<button><i class="fa fa-save"></i></button>'
    assert self_contained(player, "") == "<button>•</button>"


def test_a_player_that_was_changed_before_stays_as_it_is(plain):
    player = self_contained(plain, "first")
    assert self_contained(player, "second") == player


def test_the_words_are_those_of_the_panels_and_cannot_break_the_page():
    frames = np.zeros((2, 1, 3, 8, 8), dtype=np.float32)
    player = pictures.compare_samples({"a < b": frames, '"c"': frames}, 1).to_jshtml()
    assert 'alt="animation: a &lt; b, &quot;c&quot;"' in player and "http" not in player
    assert 'alt="animation"' in pictures.compare_samples({"": frames}, 1).to_jshtml()


def test_a_played_animation_of_matplotlib_is_self_contained_too(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle["text/html"]))
    fig, ax = plt.subplots(figsize=(1, 1))
    line = ax.plot([0, 1])
    pictures.play(FuncAnimation(fig, lambda i: line, frames=2))
    assert "http" not in shown[0] and 'alt="animation"' in shown[0] and "►" in shown[0]
