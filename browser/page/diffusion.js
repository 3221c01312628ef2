// The formulas of diffusion_utilities.py, by the same names, for pictures that are Float32Arrays of numbers in [-1, 1].
//
// Three ideas, as there: a model answers with the noise, and models wrap models; a step goes from x_t to x_(t_next), and
// steps wrap steps; one loop asks the model and takes the step.

import { Generator } from "./noise.js";

export const CLASS_NAMES = ["hero", "non-hero", "food", "spell", "side-facing"];
export const SIDE = 16; // height and width of a sprite
export const SIZE = 3 * SIDE * SIDE; // numbers in a sprite: red, green and blue, one after the other

// ------------------------------------------------------------------------------------------------ noise schedule

/** β_t rises in a straight line. b, a and ab are β_t, α_t = 1 - β_t and ᾱ_t = α_1 ⋯ α_t, indexed by t = 0 … T. */
export function linearSchedule(timesteps = 500, beta1 = 1e-4, beta2 = 0.02) {
  const schedule = { timesteps };
  for (const name of ["b", "a", "ab"]) schedule[name] = new Float32Array(timesteps + 1);
  let product = 1;
  for (let t = 0; t <= timesteps; t++) {
    const beta = t === 0 ? 0 : beta1 + ((beta2 - beta1) * (t - 1)) / (timesteps - 1);
    product *= 1 - beta; // in float64: 500 roundings would show in float32
    schedule.b[t] = beta;
    schedule.a[t] = 1 - beta;
    schedule.ab[t] = product;
  }
  return schedule;
}

const SCHEDULE = linearSchedule();

// ---------------------------------------------------------------------------------------------------- arithmetic

/** a x + b y + …, number by number, of terms [a, x], [b, y], …: what Python writes with + and *. */
export function sum(...terms) {
  const total = new Float32Array(terms[0][1].length);
  for (let i = 0; i < total.length; i++) {
    let value = 0;
    for (const [factor, x] of terms) value += factor * x[i];
    total[i] = value;
  }
  return total;
}

/** x̂_0 = (x_t - √(1-ᾱ_t) ε_θ) / √ᾱ_t, the clean picture that the predicted noise implies. */
export function predictX0(x, t, predNoise) {
  const ab = SCHEDULE.ab[t];
  return sum([1 / Math.sqrt(ab), x], [-Math.sqrt(1 - ab) / Math.sqrt(ab), predNoise]);
}

/** DDPM, from t to t-1: x_(t-1) = (x_t - β_t / √(1-ᾱ_t) · ε_θ) / √α_t + √β_t z. */
export function denoiseAddNoise(x, t, predNoise, z) {
  const [b, a, ab] = [SCHEDULE.b[t], SCHEDULE.a[t], SCHEDULE.ab[t]];
  return sum([1 / Math.sqrt(a), x], [-b / Math.sqrt(1 - ab) / Math.sqrt(a), predNoise], [Math.sqrt(b), z]);
}

/**
 * DDIM, from t to any lower level:
 * σ = η √((1-ᾱ_prev) / (1-ᾱ_t)) √(1 - ᾱ_t / ᾱ_prev),  x_prev = √ᾱ_prev x̂_0 + √(1-ᾱ_prev-σ²) ε_θ + σ z.
 */
export function denoiseDdim(x, t, tPrev, predNoise, eta, z) {
  const [ab, abPrev] = [SCHEDULE.ab[t], SCHEDULE.ab[tPrev]];
  const sigma = eta * Math.sqrt(((1 - abPrev) / (1 - ab)) * (1 - ab / abPrev));
  const direction = Math.sqrt(Math.max(0, 1 - abPrev - sigma ** 2));
  return sum([Math.sqrt(abPrev), predictX0(x, t, predNoise)], [direction, predNoise], [sigma, z]);
}

/**
 * DPM-Solver++(2M), from t to any lower level. With λ = ln(√ᾱ / √(1-ᾱ)), h = λ_prev - λ_t, r = (λ_t - λ_before) / h and
 * a = (1 + η) h:
 * D = x̂_0 + ρ/r (x̂_0 - x̂_0,before) with ρ = 1/(1 - e^-a) - 1/a
 * x_prev = √(1-ᾱ_prev) / √(1-ᾱ_t) e^-ηh x_t + √ᾱ_prev (1 - e^-a) D + √(1-ᾱ_prev) √(1 - e^-2ηh) z
 *
 * `before` is the level of the step before and the x̂_0 predicted there; null makes a step of first order, D = x̂_0.
 */
export function denoiseDpm(x, t, tPrev, x0Pred, before, eta, z) {
  if (tPrev === 0) return x0Pred;
  const [ab, abPrev] = [SCHEDULE.ab[t], SCHEDULE.ab[tPrev]];
  const h = halfLogSnr(abPrev) - halfLogSnr(ab);
  const a = (1 + eta) * h;
  const kept = Math.exp(-eta * h);
  let d = x0Pred;
  if (before) {
    const [tBefore, x0Before] = before;
    const r = (halfLogSnr(ab) - halfLogSnr(SCHEDULE.ab[tBefore])) / h;
    const share = (1 / (1 - Math.exp(-a)) - 1 / a) / r;
    d = sum([1 + share, x0Pred], [-share, x0Before]);
  }
  return sum(
    [Math.sqrt((1 - abPrev) / (1 - ab)) * kept, x],
    [Math.sqrt(abPrev) * (1 - Math.exp(-a)), d],
    [Math.sqrt((1 - abPrev) * (1 - kept ** 2)), z],
  );
}

/** λ = ln(√ᾱ / √(1-ᾱ)), half the logarithm of the signal-to-noise ratio. */
function halfLogSnr(ab) {
  return 0.5 * (Math.log(ab) - Math.log(1 - ab));
}

// ------------------------------------------------------------------------------------------------ models and steps
// model(x, t / T, context) → a promise of the predicted noise; step(x, t, tNext, predNoise, z) → x at tNext

/** Classifier-free guidance: ε_∅ + w (ε_c - ε_∅). */
export function guidedNoise(predCond, predUncond, guidance) {
  return sum([guidance, predCond], [1 - guidance, predUncond]);
}

/** A model around a model: w = 0 ignores the context, 1 is the plain context, above 1 exaggerates it. */
export function guided(model, guidance) {
  return async (x, t, context) => {
    if (guidance === 0) return model(x, t, null);
    if (guidance === 1) return model(x, t, context);
    return guidedNoise(await model(x, t, context), await model(x, t, null), guidance);
  };
}

export function ddpmStep() {
  return (x, t, tNext, predNoise, z) => {
    if (tNext !== t - 1) throw new RangeError(`DDPM goes from t to t-1, not from ${t} to ${tNext}`);
    return denoiseAddNoise(x, t, predNoise, z);
  };
}

export function ddimStep(eta) {
  return (x, t, tNext, predNoise, z) => denoiseDdim(x, t, tNext, predNoise, eta, z);
}

/** It remembers the x̂_0 of the step before, so each walk needs a step of its own. */
export function dpmStep(eta) {
  let before = null;
  return (x, t, tNext, predNoise, z) => {
    const x0Pred = predictX0(x, t, predNoise);
    const xNext = denoiseDpm(x, t, tNext, x0Pred, before, eta, z);
    before = [t, x0Pred];
    return xNext;
  };
}

/** A step around a step, with the mistake of `sample_ddpm_incorrect`: the fresh noise is thrown away. */
export function withoutFreshNoise(step) {
  return (x, t, tNext, predNoise, z) => step(x, t, tNext, predNoise, new Float32Array(z.length));
}

/** The walk from T to 0 in n steps, as pairs [t, next t]. */
export function stepPairs(n, timesteps = 500) {
  const levels = Array.from({ length: n + 1 }, (_, i) => roundHalfToEven(timesteps - i * (timesteps / n)));
  return levels.slice(1).map((tNext, i) => [levels[i], tNext]);
}

/** As NumPy rounds: 12.5 → 12, 13.5 → 14. */
function roundHalfToEven(number) {
  const rounded = Math.round(number);
  return rounded - number === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

// -------------------------------------------------------------------------------------------------------- the loop

/**
 * Denoise n sprites from pure noise, which comes first, step by step to the end. The noise is drawn in the order of
 * Python's `sample`: the start, then z before each step but the last.
 *
 * Yields {t, x, x0Pred}: the level reached, the pictures there, and the clean ones that were guessed on the way.
 */
export async function* denoising(step, pairs, n, { model, context, seed }) {
  const generator = new Generator(seed);
  let x = generator.randn(n * SIZE);
  yield { t: pairs[0][0], x, x0Pred: x };
  for (const [t, tNext] of pairs) {
    // noise added last would stay in the picture
    const z = tNext > 0 ? generator.randn(x.length) : new Float32Array(x.length);
    const predNoise = await model(x, t / SCHEDULE.timesteps, context);
    const x0Pred = predictX0(x, t, predNoise);
    x = step(x, t, tNext, predNoise, z);
    yield { t: tNext, x, x0Pred };
  }
}
