// Runs the network by ONNX Runtime, away from the page. See network.js for the page's side.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";
import { CLASS_NAMES, SIDE, SIZE } from "./diffusion.js";

const RUNTIME = "runtime/ort-wasm-simd-threaded.wasm";
const NETWORK = "context_model.onnx";

let loaded = 0;

/** The bytes of a file beside this one; what has come of all files so far is reported on the way. */
async function fetchBytes(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} could not be loaded (${response.status})`);
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    loaded += part.value.length;
    postMessage({ loaded });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function load() {
  const [runtime, network] = await Promise.all([fetchBytes(RUNTIME), fetchBytes(NETWORK)]);
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.numThreads = 1; // more need headers that simple servers do not send
  return ort.InferenceSession.create(network);
}

async function predict(session, x, t, context) {
  const n = x.length / SIZE;
  const width = CLASS_NAMES.length;
  const contexts = new Float32Array(n * width); // no context is the zero vector
  if (context) for (let i = 0; i < n; i++) contexts.set(context, i * width);
  const { pred_noise: predNoise } = await session.run({
    x: new ort.Tensor("float32", x, [n, 3, SIDE, SIDE]),
    t: new ort.Tensor("float32", [t], [1]),
    c: new ort.Tensor("float32", contexts, [n, width]),
  });
  return predNoise.data;
}

const session = load();
session.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ error: error.message }),
);

let last = session; // one pass after the other
onmessage = ({ data: { id, x, t, context } }) => {
  last = last
    .then(async () => postMessage({ id, predNoise: await predict(await session, x, t, context) }))
    .catch((error) => postMessage({ id, error: error.message }));
};
