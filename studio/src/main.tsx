/** Entry of the page. */
import { render } from "preact";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/feed.css";

render(<App />, document.getElementById("page")!);

if ("serviceWorker" in navigator) {
  // Without it the page works, but not without a network.
  navigator.serviceWorker.register("./service-worker.js").catch(() => undefined);
}
