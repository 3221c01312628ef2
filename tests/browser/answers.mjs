// Answers, a line of JSON for each line of JSON [name, ...arguments], by the page's own modules. See test_formulas.py.

import { createInterface } from "node:readline";
import * as diffusion from "../../browser/page/diffusion.js";
import { Generator } from "../../browser/page/noise.js";

/** A stand-in for the network: the best guess for pictures from N(m, 1/4), with m from the context. */
async function model(x, t, context) {
  const schedule = diffusion.linearSchedule();
  const ab = schedule.ab[Math.round(t * schedule.timesteps)];
  const m = context ? context.reduce((total, value, i) => total + (value * (i + 1)) / 10, 0) : -0.3;
  return x.map((value) => (Math.sqrt(1 - ab) * (value - Math.sqrt(ab) * m)) / (ab / 4 + 1 - ab));
}

const STEPS = {
  ddpm: () => diffusion.ddpmStep(),
  ddim: diffusion.ddimStep,
  dpm: diffusion.dpmStep,
};

const ANSWERS = {
  ...diffusion,
  randn(seed, sizes) {
    const generator = new Generator(seed);
    return sizes.map((size) => generator.randn(size));
  },
  async walk(kind, eta, fresh, n, { guidance, context, seed, steps }) {
    const step = STEPS[kind](eta);
    const given = { model: diffusion.guided(model, guidance), context, seed };
    let last;
    const wrapped = fresh ? step : diffusion.withoutFreshNoise(step);
    for await (last of diffusion.denoising(wrapped, diffusion.stepPairs(steps), n, given));
    return last;
  },
};

/** Pictures become arrays; "Infinity", which JSON lacks, a number. */
function read(value) {
  if (value === "Infinity") return Infinity;
  return Array.isArray(value) && value.length > 100 ? Float32Array.from(value) : value;
}

const write = (key, value) => (value instanceof Float32Array ? Array.from(value) : value);

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line);
  let answer;
  try {
    answer = { answer: await ANSWERS[name](...given.map(read)) };
  } catch (error) {
    answer = { error: `${error}` };
  }
  console.log(JSON.stringify(answer, write));
}
