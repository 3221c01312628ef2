"""The page itself in headless Chromium, against the module: the same seed gives the same sprite.

What the page needs is made in the test; npm's part of it only if it is there already, for it is fetched from a server.
"""

import contextlib
import math
import os
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import matplotlib.pyplot as plt
import pytest
import torch

import diffusion_utilities as du
from browser import make_page

TOLERANCE = 2  # of 255 levels, and index.html says so
TEXT = "document.getElementById('loading').textContent"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page in a folder."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    if not make_page.RUNTIME.exists():
        pytest.skip("the runtime is not here: run python -m browser.make_page --out build/site/browser once")
    folder = tmp_path_factory.mktemp("page")
    make_page.make_page(folder)
    return folder


class Server(ThreadingHTTPServer):
    """A server of files that can be told which to withhold. What was asked for is noted."""

    def __init__(self, folder):
        server, self.withheld, self.asked = self, set(), []

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                if self.path.strip("/") in server.withheld:
                    self.send_error(404)
                else:
                    super().do_GET()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.address = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="module")
def server(page):
    with contextlib.closing(Server(page)) as server:
        yield server


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A headless Chromium of the machine: nothing is fetched."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    quiet = "headless disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
    folder = tmp_path_factory.mktemp("chromium")
    for flag in (*quiet.split(), "disable-sync", "disable-dev-shm-usage", f"user-data-dir={folder}"):
        options.add_argument(f"--{flag}")
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.add_argument("--no-sandbox")  # as root, Chromium does not start in its sandbox
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    browser.set_script_timeout(300)
    yield browser
    browser.quit()


def wait(browser, condition, seconds=300):
    """Wait for a condition in JavaScript: long, because the machine may be busy."""
    from selenium.webdriver.support.ui import WebDriverWait

    said = f"{condition} did not come true"
    WebDriverWait(browser, seconds, 0.05).until(lambda b: b.execute_script(f"return {condition}"), said)


def set_form(browser, **fields):
    """Set fields as a learner does, so that the page hears of it."""
    script = """for (const [name, value] of Object.entries(arguments[0])) {
      const field = document.getElementById("settings").elements[name];
      field.value = value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }"""
    browser.execute_script(script, fields)


def press(browser, name):
    browser.find_element("id", name).click()


def draw(browser, **fields):
    set_form(browser, **fields)
    press(browser, "draw")
    wait(browser, f"{TEXT}.startsWith('Done')")


def colours(browser, name="sprites"):
    """A canvas as sprites (n, 3, 16, 16), bytes."""
    script = """const canvas = document.getElementById(arguments[0]);
    const { width, height } = canvas;
    return [width, height, Array.from(canvas.getContext("2d").getImageData(0, 0, width, height).data)];"""
    width, height, data = browser.execute_script(script, name)
    picture = torch.tensor(data).reshape(height, width, 4)
    sprites = [picture[y : y + 16, x : x + 16] for y in range(0, height, 17) for x in range(0, width, 17)]
    # a place in the last row that no sprite fills is transparent
    return torch.stack([sprite[:, :, :3].permute(2, 0, 1) for sprite in sprites if sprite[:, :, 3].all()])


def assert_same_colours(shown, samples):
    expected = (samples / 2 + 0.5).clamp(0, 1) * 255
    off = (shown - expected.round()).abs()
    print(f"colours: at most {off.max():.0f}, on average {off.mean():.4f}")
    assert off.max() <= TOLERANCE and off.mean() < 0.01, f"at most {off.max():.0f}, on average {off.mean():.4f}"


@pytest.fixture(scope="module")
def opened(chromium, server):
    """The page, loaded and ready."""
    chromium.get(server.address)
    wait(chromium, "!document.getElementById('draw').disabled")
    return chromium


@pytest.fixture
def wide(opened):
    """A desktop's width, and the settings as they are at first."""
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened.execute_script("document.querySelector('#classes button').click()")
    set_form(opened, sampler="dpm", guidance=2, seed=0, n=2)
    return opened


def test_the_page_is_small_and_whole(page):
    assert (page / "context_model.onnx").stat().st_size < 6.5e6
    assert 20e6 < sum(path.stat().st_size for path in page.rglob("*.*")) < 22e6  # index.html speaks of 6 + 14 MB
    assert not [path for path in page.rglob("*.*") if ".part" in path.name]
    for path in [*page.glob("*.js"), *page.glob("*.html"), *page.glob("*.css")]:
        assert not re.search(r"(https?:)?//\w+\.\w", path.read_text(encoding="utf-8")), f"{path} asks another server"
    assert f"{TOLERANCE} of its 255 levels" in (page / "index.html").read_text(encoding="utf-8")


def test_the_service_worker_is_another_where_a_file_is(page, tmp_path):
    (tmp_path / "a.js").write_text("1")
    heads = []
    for text in ("1", "2"):
        (tmp_path / "a.js").write_text(text)
        make_page.write_service_worker(tmp_path, ["a.js"])
        version, files, *_ = (tmp_path / "service_worker.js").read_text(encoding="utf-8").splitlines()
        heads.append(version)
        assert files == 'const FILES = ["./", "a.js"];'
    assert heads[0] != heads[1]


WALK = """const [make, wrap, steps, n, given, done] = arguments;
(async () => {
  const d = await import("./diffusion.js");
  window.network ??= await (await import("./network.js")).loadNetwork(() => {});
  const factories = { dpm: () => d.dpmStep(Infinity), ddim: () => d.ddimStep(0), ddpm: () => d.ddpmStep() };
  const step = wrap ? d.withoutFreshNoise(factories[make]()) : factories[make]();
  given.model = d.guided(window.network, given.guidance);
  let x;
  const walk = d.denoising(step, given.pairs ?? d.stepPairs(steps), n, given);
  for await ({ x } of walk);
  return Array.from(x);
})().then(done, (error) => done(`${error.stack}`));"""
WALKS = {
    "dpm_eta_inf_10_w2": (lambda: du.dpm_step(math.inf), "dpm", False, 10, 2.0),
    "ddim_25_w1": (du.ddim_step, "ddim", False, 25, 1.0),
    "ddpm_first_8_w2": (du.ddpm_step, "ddpm", False, 8, 2.0),
    "ddpm_first_8_without_noise": (du.ddpm_step, "ddpm", True, 8, 1.0),
}


@pytest.mark.parametrize("name", WALKS)
def test_numbers_are_the_modules(wide, name):
    make, kind, without, steps, guidance = WALKS[name]
    pairs = du.step_pairs(500)[:steps] if kind == "ddpm" else du.step_pairs(steps)
    context = [0.0, 0, 0.6, 0.4, 0]
    given = {"context": context, "guidance": guidance, "seed": 7, "pairs": [list(pair) for pair in pairs]}
    answer = wide.execute_async_script(WALK, kind, without, steps, 2, given)
    assert isinstance(answer, list), answer

    step = make()
    wrapped = (lambda x, t, t_next, noise, z: step(x, t, t_next, noise, torch.zeros_like(z))) if without else step
    model = du.Guided(du.load_pretrained("context_model_trained", "cpu"), guidance)
    how = {"model": model, "context": torch.tensor([context] * 2), "seed": 7, "progress": False}
    expected, _ = du.sample(wrapped, pairs, 2, **how)
    off = (torch.tensor(answer).reshape(expected.shape) - expected).abs()
    print(f"{name}: at most {off.max():.1e}, on average {off.mean():.1e}")
    assert off.max() < 5e-3 and off.mean() < 1e-4


def test_its_python_draws_what_it_shows(wide, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    for fields in ({"sampler": "dpm", "steps": 4}, {"sampler": "ddim", "steps": 3}, {"sampler": "ddim1", "steps": 3}):
        draw(wide, guidance=1.5, seed=11, n=3, **{"sampler": fields["sampler"]} | fields)
        names = {}
        exec(wide.execute_script("return document.getElementById('python').textContent"), names)
        assert_same_colours(colours(wide), names["samples"])
        assert len(names["frames"]) == fields["steps"] + 1


def test_steps_are_kept_to_look_back(wide):
    draw(wide, steps=3, guidance=1)
    step = "document.getElementById('frame').value = 1; document.getElementById('look').oninput()"
    wide.execute_script(step)
    context = torch.eye(5)[:1].expand(2, -1)
    how = {"model": du.load_pretrained("context_model_trained", "cpu"), "context": context, "seed": 0}
    _, frames = du.sample(du.dpm_step(math.inf), du.step_pairs(3), 2, progress=False, **how)
    assert_same_colours(colours(wide), torch.from_numpy(frames[1]))
    assert wide.find_element("id", "frame-text").text == "step 1 of 3, level t = 333"
    label = wide.find_element("id", "sprites").get_attribute("aria-label")
    assert label.startswith("2 sprites, hero · w = 1") and label.endswith("step 1 of 3, level t = 333")


def test_by_hand_with_and_without_fresh_noise(wide):
    set_form(wide, steps=5, guidance=1)
    press(wide, "restart")
    wait(wide, "document.getElementById('hand-text').textContent.startsWith('The start')")
    assert torch.equal(colours(wide, "with"), colours(wide, "without"))
    press(wide, "step")
    wait(wide, "document.getElementById('hand-text').textContent.startsWith('Step 1 of 5')")
    assert not torch.equal(colours(wide, "with"), colours(wide, "without"))
    wait(wide, "!document.getElementById('finish').disabled")
    press(wide, "finish")
    wait(wide, "document.getElementById('hand-text').textContent.startsWith('Step 5 of 5')")
    wait(wide, "document.getElementById('finish').disabled")
    how = {"model": du.load_pretrained("context_model_trained", "cpu"), "context": torch.eye(5)[:1].expand(4, -1)}
    for side, share in (("with", 1), ("without", 0)):
        step = du.dpm_step(math.inf)

        def wrapped(x, t, t_next, noise, z, step=step, share=share):
            return step(x, t, t_next, noise, share * z)

        expected, _ = du.sample(wrapped, du.step_pairs(5), 4, seed=0, progress=False, **how)
        assert_same_colours(colours(wide, side), expected)


def test_no_seed_is_one_by_chance_and_no_guidance_no_context(wide):
    draw(wide, seed="", steps=1, guidance=0, n=1)
    seed = int(wide.execute_script("return document.getElementById('settings').elements.seed.value"))
    assert f"no context, because w = 0 · w = 0 · DPM-Solver++, η = ∞ · steps: 1 · seed {seed}" in caption(wide)
    expected, _ = du.sample_dpm_context(1, None, n=1, eta=math.inf, seed=seed, progress=False)
    assert_same_colours(colours(wide), expected)


def caption(browser):
    return browser.find_element("id", "caption").text


def test_stopped_on_the_way_and_changed_on_the_way(wide):
    set_form(wide, sampler="ddpm", n=1)
    press(wide, "draw")
    wait(wide, "document.getElementById('frame').max >= 2")
    set_form(wide, sampler="ddim", steps=2)  # what is drawn goes on as it began
    assert "DDPM · steps: 500" in caption(wide)
    press(wide, "stop")
    assert re.fullmatch(r"Stopped after \d+ of 500 steps\.", wide.find_element("id", "loading").text)
    wide.execute_script("document.getElementById('frame').value = 0; document.getElementById('look').oninput()")
    assert wide.find_element("id", "frame-text").text == "step 0 of 500, level t = 500"
    press(wide, "draw")  # and a second press begins anew
    wait(wide, f"{TEXT}.startsWith('Done')")
    assert "DDIM, η = 0 · steps: 2" in caption(wide)


@pytest.mark.parametrize("fields", [{"steps": 0}, {"steps": 501}, {"n": 65}, {"seed": -1}, {"guidance": ""}], ids=str)
def test_what_cannot_be_is_refused_by_the_field(wide, fields):
    set_form(wide, steps=1, n=1)
    shown = caption(wide)
    set_form(wide, **fields)
    press(wide, "draw")
    (name,) = fields
    assert not wide.execute_script(f"return document.getElementById('settings').elements.{name}.validity.valid")
    assert caption(wide) == shown


@pytest.mark.parametrize("width", [1300, 390, 320])
def test_nothing_is_wider_than_the_screen(wide, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    wide.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    draw(wide, steps=1, n=9, guidance=1)
    press(wide, "restart")
    wait(wide, "!document.getElementById('step').disabled")
    wide.execute_script("document.querySelectorAll('details').forEach((block) => (block.open = true))")
    assert wide.execute_script("return document.documentElement.scrollWidth") <= width
    outside = """return [...document.querySelectorAll("input, select, button, canvas, img, pre")]
      .filter((part) => part.getBoundingClientRect().right > innerWidth).map((part) => part.outerHTML)"""
    assert wide.execute_script(outside) == []


def test_every_field_has_a_name_and_every_picture_a_text(wide):
    unnamed = """return [...document.querySelectorAll("input, select, button, canvas, img")]
      .filter((part) => part.checkVisibility())
      .filter((part) => !(part.labels?.length || part.textContent.trim() || part.ariaLabel || part.alt))
      .map((part) => part.outerHTML)"""
    assert wide.execute_script(unnamed) == []
    assert not [entry for entry in wide.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_film_where_the_network_does_not_come(chromium, page):
    with contextlib.closing(Server(page)) as server:
        server.withheld = {"context_model.onnx"}
        chromium.get(server.address)
        wait(chromium, "document.getElementById('loading').className === 'error'")
        assert_only_the_film(chromium, "context_model.onnx could not be loaded (404).")


def test_the_film_where_webassembly_is_missing(chromium, page):
    with contextlib.closing(Server(page)) as server:
        source = {"source": "delete globalThis.WebAssembly"}
        added = chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
        chromium.get(server.address)
        wait(chromium, "document.getElementById('loading').className === 'error'")
        assert_only_the_film(chromium, "this browser has no WebAssembly.")
        chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def assert_only_the_film(browser, reason):
    assert browser.find_element("id", "loading").text == f"No drawing here, only the film: {reason}"
    assert browser.find_element("tag name", "img").is_displayed()
    assert browser.execute_script("return document.querySelector('img').naturalWidth") > 100
    assert not browser.find_element("id", "draw").is_enabled()


def test_it_works_offline_once_it_is_loaded(chromium, page):
    server = Server(page)
    chromium.get(server.address)
    wait(chromium, "document.getElementById('offline').textContent.includes('works offline')")
    server.close()
    chromium.refresh()
    wait(chromium, "!document.getElementById('draw').disabled")
    draw(chromium, steps=1, n=1, guidance=1)
    expected, _ = du.sample_dpm_context(1, torch.eye(5)[:1], n=1, eta=math.inf, seed=0, progress=False)
    assert_same_colours(colours(chromium), expected)
