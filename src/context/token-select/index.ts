export { type TokenSelectOptions, tokenSelect, tokenSelectPolicy } from "./token-select.ts";
