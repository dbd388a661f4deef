import { describePolicy } from "../testing/describe-policy.ts";
import { tokenSelect } from "./index.ts";

const small = { init: 4, local: 16, k: 12 };
const large = { init: 4, local: 128, k: 128 };

describePolicy({
  name: "token-select",
  small: tokenSelect(small),
  large: tokenSelect(large),
  budget: 32,
});
describePolicy({
  name: "token-select with its cache",
  small: tokenSelect({ ...small, cache: 0.5 }),
  large: tokenSelect({ ...large, cache: 0.5 }),
  budget: 32,
});
describePolicy({
  name: "token-select, hard vote, pooled",
  small: tokenSelect({ ...small, vote: "hard", pool: 3, chunk: 8 }),
  large: tokenSelect({ ...large, vote: "hard", pool: 3 }),
  budget: 32,
});
