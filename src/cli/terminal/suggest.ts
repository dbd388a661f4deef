export { editDistance, suggest } from "../../core/suggest.ts";
