"""Slides of the labs: by a rule, from the notebooks as they are, and whole on a screen without a network."""

import json
import re
import shutil
import tempfile
import time

import nbformat
import pytest

from exercise_tools import make_sheets
from teaching import slides
from teaching.course import labs


def markdown(text, *tags):
    return make_sheets.new_cell("m", "markdown", text, *tags)


def shown(data):
    cell = make_sheets.new_cell("c", "code", "draw()")
    cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data}]
    return cell


def made(*cells):
    return slides.slides_of({"cells": list(cells)})


def text_of(slide):
    return [cell.source for cell in slide.cells]


# -------------------------------------------------------------------------------------------- the rule


def test_headings_begin_slides_to_the_right_and_below():
    deck = made(markdown("# Lab\n\nIt draws."), markdown("## One\n\nText.\n\n### Two\n\nMore."))
    assert [(slide.heading, slide.first) for slide in deck] == [("Lab", True), ("One", True), ("Two", False)]


SENTENCE = "A long sentence" + " of many words" * 8 + "."
LONG = f"{SENTENCE} {SENTENCE} {SENTENCE}"


def test_of_a_paragraph_the_first_sentence_is_shown_and_the_notes_hold_it_all():
    (slide,) = made(markdown(f"# Lab\n\n{LONG}"))
    assert text_of(slide) == [SENTENCE] and slide.notes == [LONG]


@pytest.mark.parametrize(
    "paragraph, wanted",
    [
        ("**Why?** Because $x. Y$ is so. " + LONG, "**Why?** Because $x. Y$ is so. " + SENTENCE),
        ("**Predict first:** will it fall? " + LONG, None),
        ("**1.** A first question. And what then? " + LONG, None),
        ("*Why shrink?* Short.", None),
        (f"*A caption. {LONG}*", f"*A caption. {SENTENCE}*"),
    ],
)
def test_what_is_shown_is_whole(paragraph, wanted):
    key = slides.key(paragraph)
    assert key == (wanted or paragraph)
    assert key.count("*") % 2 == 0 and key.count("$") % 2 == 0


def test_formulas_lists_and_tables_are_kept_and_folds_go_into_the_notes():
    formula, table = "$$x = 1$$", "| a | b |\n|--|--|\n| 1 | 2 |"
    (slide,) = made(markdown(f"# Lab\n\n{formula}\n\n- one\n- two\n\n{table}\n\n<details>\n\nfolded\n\n</details>"))
    assert text_of(slide) == [formula, "- one\n- two", table]
    assert slide.notes == ["<details>\n\nfolded\n\n</details>"]


def test_what_does_not_fit_goes_below_with_the_line_that_announces_it():
    picture = shown({"image/png": "AAAA"})
    first, second = made(
        markdown("# Lab\n\nA sentence.\n\nAnother."), picture, markdown("The list:"), markdown("- a\n" * 6)
    )
    assert (second.heading, second.first) == ("Lab", False)
    assert text_of(second)[0] == "The list:" and len(first.cells) == 3


def test_a_long_table_goes_on_with_its_head():
    rows = "\n".join(f"| {n} | x |" for n in range(40))
    deck = made(markdown(f"# Lab\n\n| n | what |\n|--|--|\n{rows}"))
    assert len(deck) > 2 and all(text_of(slide)[0].startswith("| n | what |\n|--|--|\n|") for slide in deck)
    assert sum(text_of(slide)[0].count("| x |") for slide in deck) == 40


def test_an_exercise_is_its_task_and_the_lab_goes_on_under_its_own_heading():
    task = markdown(
        "### Exercise 1.1 · Try\n★ · 5 minutes\n\nWrite it.\n\n<details><summary>Hint</summary>h</details>", "exercise"
    )
    solution = make_sheets.new_cell("s", "code", "def my_f():\n    return 1", "solution")
    check = make_sheets.new_cell("k", "code", "check_f(my_f)", "check")
    deck = made(markdown("# Lab\n\nx."), task, solution, check, markdown("It works."))
    assert [slide.heading for slide in deck] == ["Lab", "Exercise 1.1 · Try", "Lab"]
    assert text_of(deck[1]) == ["★ · 5 minutes", "Write it."]
    assert any("Hint" in note for note in deck[1].notes) and any("return 1" in note for note in deck[1].notes)


@pytest.mark.parametrize("lab", labs(), ids=lambda lab: lab.name)
def test_nothing_of_a_lab_is_lost(lab):
    """Every paragraph, picture and animation is on a slide or in the notes; the notebook is not changed."""
    before = lab.path.read_bytes()
    notebook = json.loads(before)
    deck = slides.slides_of(notebook)
    everything = "\n".join([*(c.source for s in deck for c in s.cells), *(n for s in deck for n in s.notes)])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and make_sheets.kind(cell) != "exercise":
            for block in slides.blocks(make_sheets.source(cell)):
                if not block.startswith(("#", "|", "-", "*", "1.")):
                    assert block in everything
    pictures = [o for c in notebook["cells"] for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    players = [o for o in pictures if "<script" in "".join(o["data"].get("text/html", ""))]
    kept = [o for s in deck for c in s.cells for o in c.get("outputs", [])]
    assert len([o for o in kept if "image/png" in o.data]) == len(pictures) - len(players)
    assert lab.path.read_bytes() == before


# ----------------------------------------------------------------------------------------- on a screen


def test_a_missing_package_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slides, "ASSETS", {"no-such-package": (".*", "x")})
    with pytest.raises(SystemExit) as end:
        slides.main(["--out", str(tmp_path)])
    assert end.value.code == 2
    assert (
        "no-such-package is not installed: python -m pip install -r teaching/requirements.txt"
        in capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.page_load_strategy = "none"
    profile = tempfile.mkdtemp()
    for option in ("headless", "no-sandbox", "disable-gpu", "window-size=1280,800", f"user-data-dir={profile}"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    if not (program := shutil.which("chromedriver")):
        pytest.skip("chromedriver is not on the PATH")
    try:
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(program))
    except Exception as error:  # whatever keeps it from starting
        pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def lab_1(browser, tmp_path_factory):
    """The slides of Lab 1 in the browser, once the formulas are set."""
    out = tmp_path_factory.mktemp("slides")
    try:
        slides.copy_assets(out)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    slides.main(["--out", str(out), "L1_Sampling"])
    browser.get((out / "L1_Sampling.html").as_uri())
    until = time.monotonic() + 300
    while browser.execute_script("return document.body && document.body.dataset.ready") != "yes":
        assert time.monotonic() < until, "the slides did not become ready"
        time.sleep(0.3)
    return browser


def test_no_slide_hides_anything_and_all_formulas_are_set(lab_1):
    measure = """
        const slide = deck.getCurrentSlide(), frame = slide.getBoundingClientRect();
        const parts = [...slide.querySelectorAll("*:not(mjx-assistive-mml, mjx-assistive-mml *)")];
        const boxes = parts.map((part) => part.getBoundingClientRect()).filter((box) => box.width && box.height);
        return [Math.max(...boxes.map((box) => box.bottom)) - frame.bottom, Math.max(...boxes.map((box) => box.right))
                - frame.right, parseInt(slide.style.fontSize || "100"), slide.querySelectorAll("mjx-merror").length,
                slide.innerText];
    """
    seen = 0
    while True:
        below, right, size, errors, text = lab_1.execute_script(measure)
        assert below <= 2 and right <= 2 and size >= 60 and not errors, text
        seen += 1
        if lab_1.execute_script("return deck.isLastSlide()"):
            break
        lab_1.execute_script("deck.next()")
    assert seen > 40
    formulas = lab_1.execute_script("return document.querySelectorAll('section mjx-container').length")
    assert formulas > 50


def test_an_animation_plays(lab_1):
    player = "document.querySelector('.animation')"
    before = lab_1.execute_script(f"return {player}.querySelector('img').src")
    lab_1.execute_script(f"[...{player}.querySelectorAll('button')].find(b => /^play$/i.test(b.title)).click()")
    until = time.monotonic() + 30
    while lab_1.execute_script(f"return {player}.querySelector('img').src") == before:
        assert time.monotonic() < until, "the picture did not change"
        time.sleep(0.2)


def test_no_server_is_asked(lab_1):
    asked = [json.loads(entry["message"])["message"] for entry in lab_1.get_log("performance")]
    addresses = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    assert any(address.startswith("file:") for address in addresses)
    assert not [address for address in addresses if re.match("https?:|wss?:", address)]


def test_the_page_is_a_valid_notebook_on_the_way():
    nbformat.validate(slides.derived(labs()[0]))
