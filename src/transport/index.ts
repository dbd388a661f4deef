/**
 * Transport: messages between processes on NATS, as frames of typed arrays.
 *
 * @module transport
 */
export { decodeFrame, encodeFrame, type Frame, type FrameArray } from "./array-frames.ts";
export {
  type ConnectTransportOptions,
  connectTransport,
  type Transport,
  type TransportContent,
  type TransportMessage,
  type TransportReply,
} from "./connect.ts";
export {
  findNatsServer,
  type NatsServer,
  type StartNatsServerOptions,
  startNatsServer,
} from "./nats-server.ts";
