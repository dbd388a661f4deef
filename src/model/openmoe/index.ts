/** OpenMoE: experts with capacity and router losses, and the instruments that show what a router does. */
export {
  type MixWithinCapacityOptions,
  mixWithinCapacity,
  type RouterLosses,
} from "./mix-within-capacity.ts";
export {
  type CapacityRouting,
  type CapacityRoutingOptions,
  type CapacityRule,
  capacityOf,
  routeWithCapacity,
} from "./route-with-capacity.ts";
export * from "./routing-reports.ts";
export * from "./routing-trace.ts";
