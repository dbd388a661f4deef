import { describePolicy } from "../testing/describe-policy.ts";
import {
  blockSelection,
  fullAttention,
  h2o,
  ntkRope,
  sinksWindow,
  snapKv,
  topKAttention,
  truncate,
} from "./index.ts";

describePolicy({ name: "full", small: fullAttention() });
describePolicy({ name: "truncate", small: truncate({ k: 40 }), large: truncate({ k: 200 }) });
describePolicy({ name: "ntk", small: ntkRope({ scale: 2 }), large: ntkRope({ scale: 1 }) });
describePolicy({
  name: "sinks-window",
  small: sinksWindow({ sinks: 4, window: 20 }),
  large: sinksWindow({ sinks: 4, window: 200 }),
  budget: 24,
});
describePolicy({
  name: "block-selection",
  small: blockSelection({ init: 4, local: 16, block: 4, blocks: 5 }),
  large: blockSelection({ init: 4, local: 128, block: 8, blocks: 16 }),
});
describePolicy({
  name: "snapkv",
  small: snapKv({ k: 24, window: 8 }),
  large: snapKv({ k: 200, window: 8 }),
});
describePolicy({
  name: "h2o, every step",
  small: h2o({ k: 24, recent: 8 }),
  large: h2o({ k: 200, recent: 8 }),
  budget: 25,
});
describePolicy({
  name: "h2o, after the prompt",
  small: h2o({ k: 24, recent: 8, evict: "afterPrompt" }),
  large: h2o({ k: 200, recent: 8, evict: "afterPrompt" }),
});
describePolicy({
  name: "top-k",
  small: topKAttention({ k: 16 }),
  large: topKAttention({ k: 200 }),
  budget: 16,
  missesItself: true,
});
