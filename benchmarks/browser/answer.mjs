/** Calls of a page, answered in a worker. */

/** @param {Record<string, (argument: object) => Promise<unknown>>} methods */
export function answer(methods) {
  addEventListener("message", async ({ data: { method, argument } }) => {
    try {
      postMessage({ result: await methods[method](argument) });
    } catch (error) {
      postMessage({ error: `${error?.stack ?? error}` });
    }
  });
}
