// The OpenAI-compatible server and the official client, in one program.
import { loadModel } from "jeton";
import { startServer } from "jeton/serve";
import OpenAI from "openai";

const model = await loadModel();
const server = await startServer(model, { port: 0, host: "127.0.0.1" });
const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none" });
const stream = await client.completions.create({
  model: model.name,
  prompt: "The emperor",
  max_tokens: 24,
  seed: 1,
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.text ?? "");
process.stdout.write("\n");
await server.close();
await model.close();
