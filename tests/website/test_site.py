"""The site: built whole from the notebooks as they are, and looked at in a browser where there is one."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from website import print_pdf
from website.alternative_text import LONGEST, alternative_text, in_words
from website.build import build
from website.check import faults
from website.print_pdf import find_browser, print_page
from website.stage import ROOT, Links, pages

OURS = {*pages(), Path("index.md")}


def links(page, repository=""):
    return Links(Path(page), OURS, ROOT, repository, "main")


# What the site is made of


def test_every_notebook_of_the_course_is_a_page_and_none_of_a_learner():
    names = [page.name for page in pages()]
    assert {"L1_Sampling.ipynb", "L4_FastSampling_exercises.ipynb", "Capstone.ipynb", "flows.ipynb"} <= set(names)
    assert {"GLOSSARY.md", "SPEED.md", "README.md", "IMPLEMENTATION_GUIDE.md"} <= set(names)
    assert not [name for name in names if name.startswith("my_") or ".before" in name]


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("[a](../docs/GLOSSARY.md)", "[a](../docs/GLOSSARY.md)"),
        ("[a](../README.md#use-your-own-sprites)", "[a](../README.md#use-your-own-sprites)"),
        ("[a](../going_further/)", "[a](../going_further/README.md)"),
        ("[a](clinic.py)", "[a](https://github.com/me/course/blob/main/L1_Sampling/clinic.py)"),
        ("[a](../LICENSE)", "[a](https://github.com/me/course/blob/main/LICENSE)"),
        ("![a](../docs/loss_curve.png)", "![a](../docs/loss_curve.png)"),
        ("[a](#part)", "[a](#part)"),
        ("`steps[0](x)`", "`steps[0](x)`"),
    ],
    ids=["page", "place", "folder", "program", "licence", "picture", "same page", "code"],
)
def test_links_lead_to_pages_or_to_the_repository(link, there):
    assert links("L1_Sampling/L1_Sampling.ipynb", "me/course").rewritten(link) == there


def test_without_a_known_repository_files_are_brought_along():
    of_page = links("L1_Sampling/L1_Sampling.ipynb")
    text = "[a](clinic.py) ![b](../docs/loss_curve.png)"
    assert of_page.rewritten(text) == text
    assert of_page.rewritten("[c](../website/README.md)") == "[c](../website/README.md.txt)"
    files = ["L1_Sampling/clinic.py", "docs/loss_curve.png", "website/README.md.txt"]
    assert sorted(of_page.files.values()) == files


@pytest.mark.parametrize(
    ("code", "before", "after", "words"),
    [
        ("show_images(x)", "Look at them:", "*Caption: one row each.* All differ.", "Sprites{}: one row each."),
        (
            "plt.plot(x)",
            "## 2 · A\n\nA plot. Which? See it:",
            "It falls.",
            "Plot{}: A plot. See it:",
        ),
        ("play(x)", "**Predict first:** what moves?\n\n$$x$$", "**Bold** is no caption.", "Animation{}"),
    ],
    ids=["caption", "sentence above", "nothing said"],
)
def test_a_picture_has_words(code, before, after, words):
    assert alternative_text(code, "2 · A", before, after) == words.format(", in the section “2 · A”")


def test_words_can_be_read_aloud():
    assert in_words(r"*The* share $\bar\alpha_t$ of `x`, [Lab 4](../L4.ipynb)") == "The share alpha bar t of x, Lab 4"
    assert "\\" not in in_words(r"$\sqrt{1-\bar\alpha_t}\,\varepsilon_\theta$")
    assert len(alternative_text("", "", "word " * 200, "")) <= LONGEST + 2


# What a site must not have


@pytest.fixture
def small_site(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "p.png").write_bytes(b"")
    (tmp_path / "b" / "page.html").write_text('<h1 id="top">b</h1><a href="../index.html#here">back</a>')
    (tmp_path / "index.html").write_text('<p id="here"><a href="b/page.html#top">b</a><img src="p.png" alt="p"></p>')
    return tmp_path


def test_a_whole_site_has_no_faults(small_site):
    assert faults(small_site) == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="gone.html">', "dead link"),
        ('<a href="../outside.html">', "dead link"),
        ('<a href="b/page.html#gone">', "place that is not there"),
        ('<a href="#gone">', "place that is not there"),
        ('<img src="gone.png" alt="x">', "missing file"),
        ('<img src="p.png">', "without words"),
        ('<img src="https://a.example/p.png" alt="x">', "from elsewhere"),
        ('<script src="//a.example/x.js"></script>', "from elsewhere"),
        ('<link rel="stylesheet" href="https://a.example/x.css">', "from elsewhere"),
        ("<style>@font-face { src: url('https://a.example/x.woff') }</style>", "from elsewhere"),
        ("<style>@import 'https://a.example/x.css';</style>", "from elsewhere"),
    ],
    ids=[
        "page",
        "outside",
        "place",
        "place of the same page",
        "picture",
        "words",
        "picture elsewhere",
        "script elsewhere",
        "style sheet elsewhere",
        "font elsewhere",
        "imported style elsewhere",
    ],
)
def test_a_fault_is_found(small_site, html, fault):
    (small_site.parent / "outside.html").write_text("there, but not a part of the site")
    page = small_site / "index.html"
    page.write_text(page.read_text() + html)
    found = faults(small_site)
    assert len(found) == 1 and fault in found[0] and found[0].startswith("index.html")


def test_a_style_sheet_is_looked_at(small_site):
    (small_site / "x.css").write_text("a { background: url(gone.png) } b { background: url(data:image/png;base64,AA) }")
    assert [fault for fault in faults(small_site) if "gone.png" in fault] == faults(small_site) != []


# The site itself


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The whole site. It is built without a warning and has no faults, or the command fails."""
    for module in ("sphinx", "myst_nb", "sphinx_book_theme"):
        pytest.importorskip(module, reason="pip install -r requirements-site.txt brings what builds the site")
    out = tmp_path_factory.mktemp("site") / "site"
    (out / "browser").mkdir(parents=True)
    (out / "browser" / "index.html").write_text("draws sprites")
    (out / "old.html").write_text("from a build before")
    command = [sys.executable, "-m", "website.build", "--out", str(out)]
    known = {**os.environ, "GITHUB_REPOSITORY": "me/course"}
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def text_of(site, page):
    return (site / page).read_text(encoding="utf-8")


def test_every_page_is_there_and_nothing_old(site):
    assert all((site / page).with_suffix(".html").is_file() for page in pages())
    assert not (site / "old.html").exists() and (site / "browser" / "index.html").is_file()


def test_the_front_page_leads_to_the_labs_and_to_the_sprites_in_the_browser(site):
    front = text_of(site, "index.html")
    for link in ("L1_Sampling/L1_Sampling.html", "Capstone/Capstone.html", "README.html#start", "browser/index.html"):
        assert f'href="{link}"' in front
    assert "sprites.gif" in front


def test_solutions_are_there_and_folded(site):
    sheet = text_of(site, "L1_Sampling/L1_Sampling_exercises.html")
    cells = json.loads((ROOT / "L1_Sampling" / "L1_Sampling_exercises.ipynb").read_text(encoding="utf-8"))["cells"]
    folds = "".join("".join(cell["source"]) for cell in cells).count("<details>")
    assert sheet.count("<details>") == folds > 20 and "<summary>Solution</summary>" in sheet
    assert "Sampling · Exercises" in sheet  # two pages of one name could not be told apart


def test_tables_in_outputs_are_tables(site):
    flows = text_of(site, "going_further/flows.html")
    assert len(re.findall(r'class="[^"]*cell_output[^"]*".*?<table', flows, re.DOTALL)) >= 4 and "|:--|" not in flows


def test_animations_are_stored_whole(site):
    lab = text_of(site, "L1_Sampling/L1_Sampling.html")
    assert lab.count('class="animation"') == 2 and "►" in lab and "fa-play" not in lab


def test_buttons_start_the_right_notebook(site):
    page = "L2_Training/L2_Training_exercises"
    html = text_of(site, f"{page}.html")
    assert f"https://colab.research.google.com/github/me/course/blob/main/{page}.ipynb" in html
    assert f"https://mybinder.org/v2/gh/me/course/main?urlpath=lab/tree/{page}.ipynb" in html
    assert "https://codespaces.new/me/course" in html


# In a browser


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium drives the browser")
    driver = shutil.which("chromedriver")
    try:
        chromium = find_browser()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    if not driver:
        pytest.skip("needs chromedriver, which drives the browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    quiet = ("disable-background-networking", "disable-component-update", "disable-sync", "no-first-run")
    for flag in ("headless", "no-sandbox", "disable-gpu", *quiet):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    driver.set_page_load_timeout(300)
    yield driver
    driver.quit()


def see(browser, page, until):
    """Open a page of the site, unless it is open, and wait for a condition in JavaScript."""
    if browser.current_url != page:
        browser.get(page)
    wait(browser, until)


def wait(browser, until):
    deadline = time.monotonic() + 300
    while not browser.execute_script(f"return {until}"):
        assert time.monotonic() < deadline, until
        time.sleep(0.2)


FORMULAS = "document.querySelectorAll('mjx-container').length"


@pytest.mark.parametrize("page", ["L1_Sampling/L1_Sampling", "going_further/flows"], ids=["lab", "notebook"])
def test_a_page_is_whole_without_a_network_and_on_a_narrow_screen(site, browser, page):
    browser.get_log("performance")
    see(browser, (site / f"{page}.html").as_uri(), f"{FORMULAS} >= document.querySelectorAll('.math').length")
    assert browser.execute_script(f"return {FORMULAS}") > 50
    assert browser.execute_script("return document.querySelectorAll('mjx-merror').length") == 0
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked and not [address for address in asked if address.startswith("http")]
    for width in (1300, 768, 390):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_an_animation_plays(site, browser):
    see(browser, (site / "going_further/flows.html").as_uri(), "document.querySelector('.animation img').src")
    browser.execute_script("document.querySelector('.animation button[title=\"First frame\"]').click()")
    first = browser.execute_script("return document.querySelector('.animation img').src")
    browser.execute_script("document.querySelector('.animation button[title=\"Play\"]').click()")
    wait(browser, f"document.querySelector('.animation img').src !== {json.dumps(first)}")


def test_a_fold_opens_on_a_click(site, browser):
    see(browser, (site / "L1_Sampling/L1_Sampling_exercises.html").as_uri(), "document.querySelector('details')")
    folded = "document.querySelector('details:has(.highlight)')"
    assert browser.execute_script(f"return {folded}.querySelector('.highlight').checkVisibility()") is False
    browser.execute_script(f"{folded}.querySelector('summary').click()")
    assert browser.execute_script(f"return {folded}.querySelector('.highlight').checkVisibility()") is True


def test_the_search_finds_without_a_server(site, browser):
    see(browser, (site / "search.html").as_uri() + "?q=frontier", "document.querySelectorAll('ul.search li').length")
    assert "Lab 4" in browser.execute_script("return document.querySelector('#search-results').textContent")


def test_a_page_is_printed(tmp_path):
    try:
        find_browser()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    (tmp_path / "page.html").write_text("<h1>A lab</h1>")
    print_page(tmp_path / "page.html", tmp_path / "pdf" / "page.pdf")
    assert (tmp_path / "pdf" / "page.pdf").read_bytes().startswith(b"%PDF")


def test_a_page_that_is_not_there_is_named_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        print_pdf.main(["L1_Sampling/gone", "--site", str(tmp_path), "--out", str(tmp_path / "pdf")])
    assert ended.value.code == 2 and not (tmp_path / "pdf").exists()
    assert re.fullmatch(r"website.print_pdf: error: [^\n]*gone.html[^\n]*\n", capsys.readouterr().err)


def test_a_folder_that_is_no_site_is_not_emptied(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="earlier site"):
        build(tmp_path)
    assert (tmp_path / "mine.txt").exists()
