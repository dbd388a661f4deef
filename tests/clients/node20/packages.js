/** The installed clients; imported from this folder, so that they are the ones of its lock file. */
export * as compatible from "@ai-sdk/openai-compatible";
export * as messages from "@langchain/core/messages";
export * as langchain from "@langchain/openai";
export * as ai from "ai";
export * as openai from "openai";
