export { landmarkAttention, landmarkPolicy } from "./landmark-attention.ts";
