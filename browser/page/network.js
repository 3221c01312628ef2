// The trained network as a model: it computes in a worker, so that the page stays responsive.

/**
 * Load the network and its runtime.
 *
 * @param {(bytes: number) => void} onProgress told how much has come so far
 * @returns model(x, t, context): the noise in pictures x at level t / T, a promise. The context is five numbers, the
 *   same for all pictures, or null for none.
 * @throws {Error} there is no WebAssembly, or a file did not come or cannot be used
 */
export function loadNetwork(onProgress) {
  if (typeof WebAssembly !== "object" || typeof Worker !== "function") {
    return Promise.reject(new Error("this browser has no WebAssembly"));
  }
  const worker = new Worker(new URL("network_worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;

  const model = (x, t, context) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject });
      worker.postMessage({ id: asked, x, t, context });
    });

  return new Promise((resolve, reject) => {
    const giveUp = (reason) => {
      worker.terminate(); // or it would go on to report what comes
      reject(new Error(reason));
    };
    worker.onerror = () => giveUp("the worker could not be started");
    worker.onmessage = ({ data }) => {
      if (data.loaded) onProgress(data.loaded);
      else if (data.ready) resolve(model);
      else if (!data.id) giveUp(data.error);
      else {
        const { resolve: answer, reject: fail } = waiting.get(data.id);
        waiting.delete(data.id);
        if (data.error) fail(new Error(data.error));
        else answer(data.predNoise);
      }
    };
  });
}
