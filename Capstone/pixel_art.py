"""From a picture to sprites: the ground is taken away, art that was enlarged gets its own size back, sheets are cut.

Pictures are uint8 (h, w, 4), RGBA. Where the alpha is 0 is ground. Every function is a guess that looks at all of the
picture; where it is not sure, it leaves things as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from PIL import Image

NEAR = 24  # of 255: a drawn ground is not quite one colour
WHITE = (255, 255, 255)
GROUNDS = (WHITE, (0, 0, 0), (128, 128, 128), (255, 0, 255), (0, 160, 0), (0, 0, 255))  # the first that fits is taken
ART_COLOURS = 128  # more colours than that come from JPEG, or from a photograph


def distance(pixels: np.ndarray, colour: np.ndarray | tuple) -> np.ndarray:
    """By how much the most different of three channels differs: (..., 3 or 4) → (...)."""
    return np.abs(pixels[..., :3].astype(int) - np.asarray(colour)[..., :3]).max(axis=-1)


# --------------------------------------------------------------------------------------- the ground


def without_ground(
    pixels: np.ndarray, known: tuple[tuple[int, int, int], ...] = ()
) -> tuple[np.ndarray, tuple[int, int, int] | None, list[str]]:
    """The picture with all of its ground clear; the colour that the ground had; and notes.

    Args:
        pixels: the picture.
        known: grounds of other pictures of the folder. They are believed when a single corner shows one.
    """
    pixels = pixels.copy()
    if (pixels[..., 3] < 255).any():
        notes = ["transparent"] + _without_shadow(pixels)
        pixels[pixels[..., 3] == 0] = 0
        return pixels, None, notes
    if (squares := _checkerboard(pixels)) is not None:
        pixels[squares] = 0
        return pixels, None, ["on a painted checkerboard"]
    colour, tolerance = _border_colour(pixels, known)
    if colour is None:
        return pixels, None, []
    like = distance(pixels, colour) <= tolerance
    ground = reached_from_outside(like)
    saturated = max(colour) - min(colour) > 128
    inside = ground[1:-1, 1:-1]
    least = 0.05 if colour == WHITE else 0.15
    if inside.sum() < least * inside.size and colour not in known and not saturated:
        return pixels, None, []  # only a frame, or the mortar of a wall
    if ground.all() and tolerance and colour != WHITE:
        return pixels, None, []  # a pattern that fills the picture
    if not _figures_use(colour, pixels, ground):
        ground |= like
    pixels[ground] = 0
    return pixels, colour, [] if colour == WHITE else ["on a ground of another colour"]


def _figures_use(colour: tuple[int, int, int], pixels: np.ndarray, ground: np.ndarray) -> bool:
    """Whether the ground's colour inside of a figure is more likely an eye than a hole.

    White is, and so is black where the figure has no outline of another dark.
    """
    if max(colour) > 48:
        return min(colour) >= 255 - NEAR
    outline = distance(pixels[beside(ground) & ~ground], colour)
    return len(outline) == 0 or np.median(outline) > 64


def beside(mask: np.ndarray) -> np.ndarray:
    """Where a pixel above, below, left or right is in a mask (..., h, w)."""
    m = np.pad(mask, [(0, 0)] * (mask.ndim - 2) + [(1, 1), (1, 1)])
    return m[..., 2:, 1:-1] | m[..., :-2, 1:-1] | m[..., 1:-1, 2:] | m[..., 1:-1, :-2]


def cleared(
    pixels: np.ndarray, scale: int, known: tuple[tuple[int, int, int], ...] = ()
) -> tuple[np.ndarray, tuple[int, int, int] | None, list[str]]:
    """:func:`without_ground` and :func:`own_pixels` in one.

    A drawn checkerboard may have squares on another grid, so the ground goes first. JPEG draws marks on the ground
    that only vanish with the enlargement, so there the ground goes last; it does, too, behind a frame.
    """
    if scale > 1 and many_colours(pixels):
        own = own_pixels(pixels, scale).copy()
        own[distance(own, WHITE) <= NEAR // 2] = 255  # white is not quite white in a JPEG
        return without_ground(own, known)
    clear, colour, notes = without_ground(pixels, known)
    clear = own_pixels(clear, scale)
    return without_ground(clear, known) if scale > 1 and (clear[..., 3] == 255).all() else (clear, colour, notes)


def _without_shadow(pixels: np.ndarray) -> list[str]:
    """Take away a dark shadow that the ground would shine through, in place; notes on half transparency."""
    alpha = pixels[..., 3]
    half = (alpha > 0) & (alpha < 255)
    dark = half & (alpha <= 200) & (pixels[..., :3].max(axis=2) <= 48)
    notes = []
    if 0 < dark.sum() < (alpha == 255).sum():
        pixels[dark] = 0
        notes += ["with a dark half-transparent shadow"]
    return notes + ["half transparent in places"] * bool((half & ~dark).any())


def _border(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _border_colour(pixels: np.ndarray, known: tuple) -> tuple[tuple[int, int, int] | None, int]:
    """The colour of most of the border and of three corners, if there is one, and how far others of it may lie."""
    border, corners = _border(pixels), pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    for colour in known:
        if (distance(corners, colour) == 0).any():
            return colour, 0
    colours, counts = np.unique(border[:, :3], axis=0, return_counts=True)
    colour = colours[counts.argmax()] if 2 * counts.max() >= len(border) else np.median(border[:, :3], axis=0)
    off = distance(border, colour)
    if (off <= NEAR).mean() < 0.5 or (distance(corners, colour) <= NEAR).sum() < 3:
        return None, 0
    # exact where most of the border is exactly one colour; else as far as the border itself goes, and a little more
    tolerance = 0 if 2 * (off == 0).sum() >= (off <= NEAR).sum() else 2 + off[off <= NEAR].max()
    if 0 < (dull := distance(colour, WHITE)) <= 8:  # what JPEG makes of white
        return WHITE, int(tolerance + 2 * dull)
    return tuple(int(value) for value in colour), int(tolerance)


def _checkerboard(pixels: np.ndarray) -> np.ndarray | None:
    """Where the picture has the two greys in which painting programs draw "transparent"; None without any.

    They take turns along the border, in squares or in stripes of any width.
    """
    border = np.concatenate([pixels[0], pixels[1:, -1], pixels[-1, -2::-1], pixels[-2:0:-1, 0]])[:, :3]  # once around
    greys, counts = np.unique(border[np.ptp(border, axis=1) <= 8], axis=0, return_counts=True)
    if len(greys) < 2:
        return None
    most = counts.argsort()[::-1][:2]
    is_first, is_second = ((border == greys[i]).all(axis=1) for i in most)
    turns = np.count_nonzero(np.diff(is_second[is_first | is_second]))
    if not 16 <= np.ptp(greys[most].astype(int)) <= 110:  # marks of JPEG, or an outline and its ground
        return None
    if is_second.mean() < 0.15 or (is_first | is_second).mean() < 0.5 or turns < 4 or greys[most].max() < 64:
        return None
    squares = (pixels[:, :, None, :3] == greys[most]).all(axis=3)
    ground = reached_from_outside(squares.any(axis=2))
    # moved by one square, every pixel has the other grey; a wall of stones has no such step
    for step in range(1, min(ground.shape) // 2 + 1):
        pairs = ground[:, step:] & ground[:, :-step]
        if pairs.any() and (squares[:, step:, 0] != squares[:, :-step, 0])[pairs].mean() > 0.95:
            return ground
    return None


def reached_from_outside(free: np.ndarray) -> np.ndarray:
    """The part of a mask (h, w) that hangs together with the border, side by side."""
    reached = np.zeros_like(free)
    reached[[0, -1]], reached[:, [0, -1]] = free[[0, -1]], free[:, [0, -1]]
    before = -1
    while before != reached.sum():
        before = reached.sum()
        reached = _spread(_spread(reached, free).T, free.T).T
    return reached


def _spread(reached: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Along the rows, from what is reached to the next wall."""
    runs = np.pad(~free, ((0, 0), (1, 0)), constant_values=True).cumsum().reshape(len(free), -1)[:, 1:]
    touched = np.zeros(runs.max() + 1, bool)
    touched[runs[reached]] = True
    return free & touched[runs]


def choose_ground(sprites: np.ndarray, own: list[tuple[int, int, int] | None]) -> tuple[int, int, int]:
    """The colour to put behind all sprites (n, size, size, 4): white, unless figures would vanish in it."""
    hidden = [(hidden_outline(sprites, colour, own) >= 0.5).sum() for colour in GROUNDS]
    return GROUNDS[int(np.argmin(hidden))]


def hidden_outline(sprites: np.ndarray, ground: tuple[int, int, int], own: list) -> np.ndarray:
    """The share (n,) of each figure's outermost pixels that are of the colour of the ground.

    Nothing is lost where the picture was drawn on that colour.
    """
    shown = sprites[..., 3] > 0
    outline = shown & beside(~shown)
    same = outline & (distance(sprites, ground) <= NEAR)
    share = same.sum(axis=(1, 2)) / np.maximum(1, outline.sum(axis=(1, 2)))
    drawn_on_it = [colour is not None and distance(np.array(colour), ground) <= NEAR for colour in own]
    return np.where(drawn_on_it, 0, share)


def on_ground(sprites: np.ndarray, ground: tuple[int, int, int]) -> np.ndarray:
    """RGBA (..., 4) → RGB (..., 3), with the ground shining through."""
    alpha = sprites[..., 3:].astype(int)
    return ((sprites[..., :3] * alpha + np.array(ground) * (255 - alpha) + 127) // 255).astype(np.uint8)


# ------------------------------------------------------------------------------------- enlarged art


def scale_of(pixels: np.ndarray) -> int:
    """How many times pixel art was enlarged; 1 for all other pictures."""
    changes = [_changes(pixels), _changes(pixels.swapaxes(0, 1))]
    gaps = np.concatenate([np.diff(places) for places in changes])
    if len(gaps) >= 4 and (k := np.gcd.reduce(gaps)) > 1:
        return int(k)
    return _scale_of_blurred(pixels)


def _changes(pixels: np.ndarray) -> np.ndarray:
    """The rows that differ from the one above."""
    return 1 + np.flatnonzero((pixels[1:] != pixels[:-1]).any(axis=(1, 2)))


def _edges(pixels: np.ndarray) -> np.ndarray:
    """How strongly each row differs from the one above, (h - 1,), without the faint marks of JPEG."""
    grey = on_ground(pixels, WHITE) @ np.array([0.299, 0.587, 0.114])
    steps = np.abs(np.diff(grey, axis=0))
    return np.where(steps > 20, steps, 0).sum(axis=1)


def _grid_of(edges: np.ndarray, k: int) -> tuple[float, int]:
    """The share of the edges that lies on the best grid of step k, and where that grid begins."""
    shares = [edges[start - 1 :: k].sum() if start else edges[k - 1 :: k].sum() for start in range(k)]
    start = int(np.argmax(shares))
    return shares[start] / max(1, edges.sum()), start


def many_colours(pixels: np.ndarray) -> bool:
    """More than pixel art has; of a large picture, a part is looked at."""
    every = max(1, int((pixels.size / 4) ** 0.5) // 256)
    return len(np.unique(pixels[::every, ::every].reshape(-1, 4), axis=0)) > ART_COLOURS


def _scale_of_blurred(pixels: np.ndarray) -> int:
    """The same for art that was saved as JPEG: most of its edges lie on the grid, not all."""
    if not many_colours(pixels):
        return 1
    both = _edges(pixels), _edges(pixels.swapaxes(0, 1))
    steps = range(2, min(64, min(pixels.shape[:2]) // 4) + 1)
    fitting = [k for k in steps if min(_grid_of(edges, k)[0] for edges in both) > 0.8]
    return max(fitting, default=1)


def own_pixels(pixels: np.ndarray, k: int) -> np.ndarray:
    """Art that was enlarged k times, at its own size; what is left over around it is dropped."""
    if k == 1:
        return pixels
    for axis in (0, 1):  # rows, then columns
        pixels = pixels.swapaxes(0, axis)
        changes = _changes(pixels)
        exact = len(changes) == 0 or not (np.diff(changes) % k).any()
        start = int(changes[0] % k) if exact and len(changes) else _grid_of(_edges(pixels), k)[1] if len(changes) else 0
        pixels = _one_of_each(pixels, k, start, exact).swapaxes(0, axis)
    return pixels


def _one_of_each(pixels: np.ndarray, k: int, start: int, exact: bool) -> np.ndarray:
    """One row for every k from ``start`` on. Less than k before and after them is dropped if it is of one colour."""
    before, after = pixels[:start], pixels[start + (len(pixels) - start) // k * k :]
    whole = pixels[start : len(pixels) - len(after)].reshape(-1, k, *pixels.shape[1:])
    # in a JPEG the edges of each pixel are blurred, its middle is not
    inner = whole[:, k // 3 : k - k // 3]
    rows = whole[:, 0] if exact else inner.mean(axis=1).round().astype(np.uint8)
    first = [before[:1]] if exact and len(before) and (before != before[0, 0]).any() else []
    last = [after[:1]] if exact and len(after) and (after != after[0, 0]).any() else []
    return np.concatenate([*first, rows, *last])


# ------------------------------------------------------------------------------------------- sheets


def content(pixels: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns from the first to the last that show anything."""
    shown = pixels[..., 3] > 0
    return _extent(shown.any(axis=1)), _extent(shown.any(axis=0))


def _extent(filled: np.ndarray) -> slice:
    places = np.flatnonzero(filled)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def cut(pixels: np.ndarray, size: int) -> list[np.ndarray]:
    """The sprites of a strip or sheet, by the empty lines between them; a list of one for any other picture."""
    window = content(pixels)
    height, width = (part.stop - part.start for part in window)
    if max(height, width) <= size:
        return [pixels]
    long, short = max(pixels.shape[:2]), min(pixels.shape[:2])
    if short == size and long % size == 0 and long >= 3 * size:  # a strip, even where the sprites touch
        return _cells(pixels, *(list(range(0, side + 1, size)) for side in pixels.shape[:2]))
    columns = _cuts(pixels.swapaxes(0, 1), size, height)
    rows = _cuts(pixels, size, width)
    if columns and not rows:
        rows = _cuts(pixels, size, width, columns[1] - columns[0])
    elif rows and not columns:
        columns = _cuts(pixels.swapaxes(0, 1), size, height, rows[1] - rows[0])
    cells = _cells(pixels, rows or [window[0].start, window[0].stop], columns or [window[1].start, window[1].stop])
    number = max(1, len(rows) - 1) * max(1, len(columns) - 1)
    # of a canvas much larger than its cells, or of one thing in parts, these would not be squares
    sides = [side / max(1, len(cuts) - 1) for side, cuts in zip(pixels.shape, (rows, columns), strict=False)]
    if max(sides) > (1.3 if number == 2 else 2.1) * min(sides) or number > 2 * len(cells):
        return [pixels]  # one thing in parts
    return _common_window(cells, size) if len(cells) > 1 else [pixels]


def _cells(pixels: np.ndarray, rows: list[int], columns: list[int]) -> list[np.ndarray]:
    """What lies between the cuts, row by row, without what is empty."""
    across = list(zip(columns, columns[1:], strict=False))
    parts = [pixels[a:b, c:d] for a, b in zip(rows, rows[1:], strict=False) for c, d in across]
    return [part for part in parts if part[..., 3].any()]


def _common_window(cells: list[np.ndarray], size: int) -> list[np.ndarray]:
    """The cells without the lines that are empty in all of them, so that the frames of a film do not jump."""
    shape = np.max([cell.shape[:2] for cell in cells], axis=0)
    if max(shape) <= size:
        return cells
    stack = np.stack([np.pad(c, ((0, shape[0] - c.shape[0]), (0, shape[1] - c.shape[1]), (0, 0))) for c in cells])
    window = content(stack.max(axis=0))
    return list(stack[:, window[0], window[1]])


def _cuts(pixels: np.ndarray, size: int, other: int, wanted: int = 0) -> list[int]:
    """Where to cut between rows, at even distances; an empty list where nothing says so.

    Best is a grid on which nothing is shown on both sides of a cut. Where sprites touch each other, at least hardly any
    colour goes on across it; then the cells must be of the size asked for, or squares.
    """
    shown = pixels[..., 3] > 0
    filled = shown.any(axis=1)
    extent = _extent(filled)
    if extent.stop - extent.start <= size:
        return []
    both = np.pad((shown[1:] & shown[:-1]).sum(axis=1), 1)  # at each place for a cut
    goes_on = shown[1:] & shown[:-1] & (distance(pixels[1:], pixels[:-1]) <= NEAR // 2)
    goes_on = np.pad(goes_on.sum(axis=1), 1)
    usual = goes_on[extent.start + 1 : extent.stop].mean()
    steps = [size, *range(max(4, size // 3), len(pixels) // 2 + 2)]
    free = (cuts for step in steps for cuts in _grids(filled, step, both == 0))
    found = next(free, np.zeros(0, int))
    for step in dict.fromkeys(step for step in (size, wanted, other) if step > 3):
        even = [cuts for cuts in _grids(filled, step, goes_on <= 0.8 * usual) if len(set(np.diff(cuts))) == 1]
        even = [cuts for cuts in even if goes_on[cuts[1:-1]].mean() <= 0.4 * usual]
        # margins are mostly equal on both sides
        best = min(even, key=lambda cuts: (abs(cuts[0] - (len(pixels) - cuts[-1])), goes_on[cuts].sum()), default=None)
        # cells of twice that size would hold two sprites each
        if best is not None and (len(found) == 0 or found[1] - found[0] >= 2 * step):
            return best.tolist()
    return found.tolist()


def _grids(filled: np.ndarray, step: int, allowed: np.ndarray) -> Iterator[np.ndarray]:
    """All allowed cuts of a line into two or more parts of one length, of which none is empty, with nothing outside.

    The last part may be shorter, because sheets leave out the space behind it.
    """
    before = np.concatenate([[0], filled.cumsum()])
    for start in np.flatnonzero(allowed[:step]):
        cuts = np.arange(start, len(filled) + 1, step)
        if before[-1] > before[cuts[-1]]:
            cuts = np.append(cuts, len(filled))
        if len(cuts) > 2 and before[start] == 0 and allowed[cuts].all() and (np.diff(before[cuts]) > 0).all():
            yield cuts


def cut_by(pixels: np.ndarray, cell: int) -> list[np.ndarray]:
    """The sprites of a sheet whose cells are cell × cell; where they begin and what lies between them is found out.

    Raises:
        ValueError: no such grid leaves all sprites whole.
    """
    if max(pixels.shape[:2]) <= cell:
        return [pixels]
    starts = [_starts((part[..., 3] > 0).any(axis=1), cell) for part in (pixels, pixels.swapaxes(0, 1))]
    if not all(starts):
        raise ValueError(f"no grid of cells of {cell}×{cell} leaves all sprites whole")
    parts = [pixels[y : y + cell, x : x + cell] for y, x in product(*starts)]
    return [part for part in parts if part[..., 3].any()]


def _starts(filled: np.ndarray, cell: int) -> list[int]:
    """Where cells begin such that all that is filled lies in one; those without offset and spacing come first."""
    for spacing, offset in product(range(cell + 1), range(cell + 1)):
        starts = range(offset, len(filled) - cell + 1, cell + spacing)
        outside = filled.copy()
        for start in starts:
            outside[start : start + cell] = False
        if len(starts) and not outside.any():
            return list(starts)
    return []


def side_needed(pixels: np.ndarray) -> int:
    """The larger side of what a picture shows."""
    return max(part.stop - part.start for part in content(pixels))


def things(pixels: np.ndarray) -> int:
    """How many things of about one size lie apart from each other; 1 where no ground shows between them."""
    areas = []
    shown = pixels[..., 3] > 0
    for band in _runs(shown.any(axis=1)):
        areas += [(part.stop - part.start) * (band.stop - band.start) for part in _runs(shown[band].any(axis=0))]
    return sum(4 * area >= max(areas) for area in areas)


def _runs(filled: np.ndarray) -> list[slice]:
    ends = np.flatnonzero(np.diff(np.pad(filled.astype(int), 1)))
    return [slice(int(a), int(b)) for a, b in ends.reshape(-1, 2)]


# ------------------------------------------------------------------------------------------ fitting


def fit(pixels: np.ndarray, size: int) -> tuple[np.ndarray, list[str]]:
    """A picture in the middle of a clear square, uint8 (size, size, 4); and notes.

    A picture of that size stays as it is. A small one is enlarged by a whole number, so that its pixels stay squares
    of their own colour (NEAREST). Of a large one, the empty margins go first. If that is not enough, each new pixel is
    a mean: of its block if the factor is whole (BOX), else weighted (HAMMING). NEAREST would leave out whole lines, and
    LANCZOS would draw rings around outlines.

    Raises:
        ValueError: it is so narrow that less than one pixel would be left of it.
    """
    height, width = pixels.shape[:2]
    if max(height, width) > size * min(height, width):
        raise ValueError(f"{width}×{height} is too narrow for {size}×{size}")
    grow = max(1, size // max(height, width))
    if max(height, width) > size:
        window = content(pixels)
        pixels = pixels[window]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    side, other = max(image.size), min(image.size)
    image = image.reduce(max(1, side // (64 * size)))  # saves memory
    image = image.resize((image.width * grow, image.height * grow), Image.Resampling.NEAREST)
    square = Image.new("RGBA", (max(size, *image.size),) * 2)
    square.paste(image, ((square.width - image.width) // 2, (square.width - image.height) // 2))
    filtering = Image.Resampling.HAMMING if square.width % size else Image.Resampling.BOX
    facts = {
        "cropped": max(height, width) > size and (width, height) != (pixels.shape[1], pixels.shape[0]),
        "not square": other < side and side > size or height != width,
        "made smaller": size < side <= 8 * size,
        "more than 8 times too large": side > 8 * size,
    }
    return np.asarray(square.resize((size, size), filtering)), [note for note, holds in facts.items() if holds]
