// What is on the page: the settings, the drawing with its steps, and the steps taken by hand.

import {
  CLASS_NAMES,
  SIDE,
  SIZE,
  ddimStep,
  ddpmStep,
  denoising,
  dpmStep,
  guided,
  stepPairs,
  withoutFreshNoise,
} from "./diffusion.js";
import { loadNetwork } from "./network.js";

const $ = (id) => document.getElementById(id);
const form = $("settings");
const field = form.elements;

const SAMPLERS = {
  dpm: {
    title: "DPM-Solver++, η = ∞",
    make: () => dpmStep(Infinity),
    steps: 10,
    python: { name: "sample_dpm_context", options: (steps) => `n=${steps}, eta=float("inf"), ` },
    hint: "Each step exchanges all noise for fresh. Ten steps are as good as DDPM's 500; many steps, or much guidance, are not for it.",
  },
  ddim: {
    title: "DDIM, η = 0",
    make: () => ddimStep(0),
    steps: 25,
    python: { name: "sample_ddim_context", options: (steps) => `n=${steps}, ` },
    hint: "No fresh noise: what it starts from decides on the sprite.",
  },
  ddim1: {
    title: "DDIM, η = 1",
    make: () => ddimStep(1),
    steps: 50,
    python: { name: "sample_ddim_context", options: (steps) => `n=${steps}, eta=1.0, ` },
    hint: "As much fresh noise as DDPM, in fewer and longer steps.",
  },
  ddpm: {
    title: "DDPM",
    make: ddpmStep,
    steps: 500,
    onlySteps: true,
    python: { name: "sample_ddpm_context", options: () => "" },
    hint: "Through every level, with fresh noise after each step. 500 steps take minutes here; fewer sprites are faster.",
  },
};

// ---------------------------------------------------------------------------------------------------- settings

/** A labelled slider for each number of the context. */
function sliders() {
  return CLASS_NAMES.map((name, i) => {
    const label = document.createElement("label");
    label.innerHTML = `${name} <input type="range" min="0" max="1" step="0.1" value="${i ? 0 : 1}"> <output></output>`;
    $("context").append(label);
    return label.querySelector("input");
  });
}

/** A button for each class, which sets the sliders. */
function classButtons() {
  return CLASS_NAMES.map((name, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.onclick = () => {
      context.forEach((slider, j) => (slider.value = i === j ? 1 : 0));
      showContext();
    };
    $("classes").append(button);
    return button;
  });
}

function showContext() {
  const values = context.map((slider) => Number(slider.value));
  context.forEach((slider) => (slider.nextElementSibling.value = slider.value));
  const alone = values.filter((value) => value > 0).length === 1;
  classes.forEach((button, i) => button.setAttribute("aria-pressed", alone && values[i] === 1));
}

function showSampler() {
  const sampler = SAMPLERS[field.sampler.value];
  field.steps.value = sampler.steps;
  field.steps.readOnly = Boolean(sampler.onlySteps);
  $("sampler-hint").textContent = sampler.hint;
}

const context = sliders();
const classes = classButtons();
for (const [name, { title }] of Object.entries(SAMPLERS)) field.sampler.add(new Option(title, name));
$("context").oninput = showContext;
field.sampler.onchange = showSampler;
showContext();
showSampler();

/** What is set, or null where a field cannot be used; the browser then says which. No seed is one by chance. */
function settings() {
  if (!form.reportValidity()) return null;
  if (field.seed.value === "") field.seed.value = crypto.getRandomValues(new Uint32Array(1))[0];
  return {
    context: context.map((slider) => Number(slider.value)),
    guidance: Number(field.guidance.value),
    sampler: SAMPLERS[field.sampler.value],
    steps: Number(field.steps.value),
    seed: Number(field.seed.value),
    n: Number(field.n.value),
  };
}

/** The loop of these settings; `wrap` is put around its step. */
function walk({ context, guidance, sampler, steps, seed }, n, wrap = (step) => step) {
  const model = guided(network, guidance);
  return denoising(wrap(sampler.make()), stepPairs(steps), n, { model, context, seed });
}

function inWords({ context, guidance, sampler, steps, seed }) {
  const parts = context.map((value, i) => (value === 1 ? "" : `${value} `) + CLASS_NAMES[i]);
  const asked = parts.filter((_, i) => context[i] > 0).join(" + ");
  const what = guidance === 0 ? "no context, because w = 0" : asked || "no context";
  return `${what} · w = ${guidance} · ${sampler.title} · steps: ${steps} · seed ${seed}`;
}

function inPython({ context, guidance, sampler, steps, seed, n }) {
  const { name, options } = sampler.python;
  return `from diffusion_utilities import *

ctx = torch.tensor([[${context.join(", ")}]] * ${n}).float()
samples, frames = ${name}(${n}, ctx, ${options(steps)}guidance=${guidance}, seed=${seed})
show_images(samples, n_rows=${Math.ceil(n / columns(n))})`;
}

// ---------------------------------------------------------------------------------------------------- pictures

/** Numbers in [-1, 1] → bytes, by clip((x + 1) / 2); four times smaller, so that every step can be kept. */
function toBytes(x) {
  return Uint8ClampedArray.from(x, (value) => ((value + 1) / 2) * 255);
}

function columns(n) {
  return Math.ceil(Math.sqrt(n));
}

/** Sprites side by side, a pixel between them, each pixel enlarged by a whole number. */
function show(canvas, bytes, label) {
  const n = bytes.length / SIZE;
  const across = columns(n);
  canvas.width = across * (SIDE + 1) - 1;
  canvas.height = Math.ceil(n / across) * (SIDE + 1) - 1;
  const pen = canvas.getContext("2d");
  for (let i = 0; i < n; i++) {
    const image = pen.createImageData(SIDE, SIDE);
    for (let pixel = 0; pixel < SIDE * SIDE; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        image.data[4 * pixel + channel] = bytes[i * SIZE + channel * SIDE * SIDE + pixel];
      }
      image.data[4 * pixel + 3] = 255;
    }
    pen.putImageData(image, (i % across) * (SIDE + 1), Math.floor(i / across) * (SIDE + 1));
  }
  canvas.setAttribute("aria-label", label);
  enlarge(canvas);
}

function enlarge(canvas) {
  const room = Math.min(canvas.closest("figure").clientWidth, 560);
  canvas.style.width = `${Math.max(1, Math.floor(room / canvas.width)) * canvas.width}px`;
}

window.addEventListener("resize", () => document.querySelectorAll("canvas").forEach(enlarge));

// ----------------------------------------------------------------------------------------------------- drawing

let network = null;
let drawing = null; // {settings, frames, stopped} of what is drawn or was drawn last

async function draw() {
  const now = settings();
  if (!now) return;
  if (drawing) drawing.stopped = true;
  const mine = (drawing = { settings: now, frames: [], stopped: false });
  $("film").hidden = true;
  $("loading").className = "";
  $("caption").textContent = inWords(now);
  $("python").textContent = inPython(now);
  $("progress").max = now.steps;
  for (const id of ["loading", "progress", "result", "look"]) $(id).hidden = false;
  $("stop").disabled = false;
  const began = performance.now();
  try {
    for await (const { t, x, x0Pred } of walk(now, now.n)) {
      if (mine.stopped) break;
      mine.frames.push({ t, x: toBytes(x), x0Pred: toBytes(x0Pred) });
      showProgress(mine, (performance.now() - began) / 1000);
    }
  } catch (error) {
    if (mine === drawing) fail(`Drawing stopped: ${error.message}.`);
  }
  if (mine === drawing) $("stop").disabled = $("progress").hidden = true;
}

/** The newest step, unless an earlier one is being looked at; and how long the rest will take. */
function showProgress({ settings, frames }, seconds) {
  const frame = $("frame");
  const done = frames.length - 1;
  const newest = done === 0 || frame.value === frame.max;
  frame.max = done;
  if (newest) frame.value = done;
  showFrame();
  $("progress").value = done;
  const left = (seconds / done) * (settings.steps - done);
  const text = {
    0: `Drawing ${settings.n === 1 ? "1 sprite" : `${settings.n} sprites`}.`,
    [settings.steps]: `Done in ${inTime(seconds)}.`,
  }[done];
  if (text) $("loading").textContent = text;
  else if (left > 10 && done % 10 === 5) $("loading").textContent = `Drawing, about ${inTime(left)} left.`;
}

function inTime(seconds) {
  return seconds < 99 ? `${seconds.toPrecision(2)} seconds` : `${Math.round(seconds / 60)} minutes`;
}

function stop() {
  if (!drawing) return;
  drawing.stopped = true;
  $("stop").disabled = $("progress").hidden = true;
  $("loading").textContent = `Stopped after ${drawing.frames.length - 1} of ${drawing.settings.steps} steps.`;
}

function showFrame() {
  const { settings, frames } = drawing;
  const done = Number($("frame").value);
  const { t, ...pictures } = frames[done];
  const shown = document.querySelector("[name=show]:checked").value;
  const text = `step ${done} of ${settings.steps}, level t = ${t}`;
  $("frame-text").value = text;
  show($("sprites"), pictures[shown], `${settings.n} sprites, ${inWords(settings)}, at ${text}`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  draw();
});
$("stop").onclick = stop;
$("look").oninput = showFrame;

// ----------------------------------------------------------------------------------------------------- by hand

const BY_HAND = 4; // sprites on each side

let hand = null; // the walk that is being taken: {settings, sides, done, toTake}

/** Both sides before their start. They are new walks, so that an old one that still computes shows nothing more. */
function begin() {
  const now = settings();
  if (!now) return;
  const sides = { with: walk(now, BY_HAND), without: walk(now, BY_HAND, withoutFreshNoise) };
  hand = { settings: now, sides, done: -1, toTake: 0 };
}

/** Take so many steps on both sides, until none is left, another walk begins or the learner stops. */
async function take(steps) {
  if (!hand) begin();
  const mine = hand;
  if (!mine) return;
  try {
    if (mine.done < 0) await forward(mine);
    mine.toTake = Math.min(steps, mine.settings.steps - mine.done);
    for (; mine === hand && mine.toTake > 0; mine.toTake--) {
      showButtons();
      await forward(mine);
    }
  } catch (error) {
    $("hand-text").textContent = `The step could not be taken: ${error.message}.`;
  }
  if (mine === hand) showButtons();
}

/** Both sides one step on; at first, to their start. */
async function forward(mine) {
  const reached = {};
  for (const [side, denoised] of Object.entries(mine.sides)) reached[side] = (await denoised.next()).value;
  if (mine !== hand) return;
  mine.done++;
  for (const [side, { t, x }] of Object.entries(reached)) {
    $("sides").hidden = false;
    show($(side), toBytes(x), `four sprites ${side} fresh noise, at level t = ${t}`);
  }
  const where = mine.done ? `Step ${mine.done} of ${mine.settings.steps}` : "The start";
  $("hand-text").textContent = `${where}, level t = ${reached.with.t}: ${inWords(mine.settings)}.`;
}

function showButtons() {
  const going = hand.toTake > 0;
  const finished = hand.done === hand.settings.steps;
  $("step").disabled = going || finished;
  $("finish").disabled = !(hand.toTake > 1) && (going || finished);
  $("finish").textContent = hand.toTake > 1 ? "Stop" : "Take all that are left";
}

$("step").onclick = () => take(1);
$("finish").onclick = () => {
  if (!hand?.toTake) take(Infinity);
  else {
    hand.toTake = 1; // the step that is being taken is the last
    showButtons();
  }
};
$("restart").onclick = () => {
  begin();
  take(0);
};

// ----------------------------------------------------------------------------------------------------- loading

function fail(text) {
  $("loading").textContent = text;
  $("loading").className = "error";
}

/** Keep the page's files, so that it works offline. Where that is not possible, it goes on without. */
async function keepForOffline() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("service_worker.js");
    await navigator.serviceWorker.ready;
    $("offline").textContent = "This page is stored in your browser now and works offline.";
  } catch {
    $("offline").textContent = "This page could not be stored in your browser: it works online only.";
  }
}

try {
  network = await loadNetwork((bytes) => {
    $("loading").textContent = `Loading the network and its runtime: ${(bytes / 1e6).toFixed(0)} of 20 MB.`;
  });
  $("loading").textContent = "The network is loaded. Choose, and draw.";
  for (const id of ["draw", "step", "finish", "restart"]) $(id).disabled = false;
  keepForOffline();
} catch (error) {
  fail(`No drawing here, only the film: ${error.message}.`);
}
