import { describePolicy } from "../testing/describe-policy.ts";
import { longHeads } from "./index.ts";

describePolicy({
  name: "longheads",
  small: longHeads({ chunk: 8, length: 40 }),
  large: longHeads({ chunk: 16, length: 192 }),
});
describePolicy({
  name: "longheads, three chunks, one vector for heads that share keys",
  small: longHeads({ chunk: 8, length: 24, representation: "groupMean" }),
  large: longHeads({ chunk: 64, length: 192, representation: "groupMean" }),
});
describePolicy({
  name: "longheads, all tokens beyond what heads choose, and choices behind them",
  small: longHeads({ chunk: 8, length: 40, begin: 62 }),
  large: longHeads({ chunk: 8, length: 24, begin: 190 }),
});
