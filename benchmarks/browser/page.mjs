/** The page of both: a worker for each, called one at a time. */

const workers = new Map();

function call(name, method, argument) {
  let worker = workers.get(name);
  if (!worker) {
    worker = new Worker(`/${name}-worker.js`, { type: "module", name });
    workers.set(name, worker);
  }
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) =>
      "error" in data ? reject(new Error(`${name}: ${data.error}`)) : resolve(data.result);
    worker.onerror = ({ message }) => reject(new Error(`${name}: ${message}`));
    worker.postMessage({ method, argument });
  });
}

Object.assign(globalThis, { bench: { call } });
