/** The packages that stores need, from this folder's own install. */
export * as lancedb from "@lancedb/lancedb";
export * as qdrant from "@qdrant/js-client-rest";
export * as arrow from "apache-arrow";
