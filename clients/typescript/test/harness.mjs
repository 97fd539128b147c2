// What the tests share: topics of their own, a proxy that cuts connections, a server that records what it is sent.
import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { randomUUID } from "node:crypto";
import Fluvio from "../dist/esm/index.js";
import { PacketReader } from "../dist/esm/packet.js";

export const URL_OF_GATEWAY = process.env.TIDEGATE_URL ?? "http://127.0.0.1:5470";

export const connect = (options = {}) => Fluvio.connect({ url: URL_OF_GATEWAY, ...options });

export async function makeTopic(fluvio, spec = {}) {
  const name = `ts-${randomUUID()}`;
  await fluvio.admin().createTopic(name, spec);
  return name;
}

export async function take(stream, count) {
  const records = [];
  for await (const record of stream) {
    if (records.push(record) === count) {
      break;
    }
  }
  return records;
}

export const values = (records) => records.map((record) => record.valueString());

const UNTIL_MS = 120_000;

export async function until(condition) {
  const endMs = performance.now() + UNTIL_MS;
  while (!(await condition())) {
    assert.ok(performance.now() < endMs, `not within ${UNTIL_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function listening(server) {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

/**
 * Passes bytes on to the gateway. `cut` decides for each piece: (direction "up" or "down", bytes) → how many bytes of it
 * still pass before the connection is cut; undefined: it is not.
 */
export async function startProxy(cut = () => undefined) {
  const target = new URL(URL_OF_GATEWAY);
  const sockets = new Set();
  const proxy = { cut, connections: 0 };
  const server = net.createServer((client) => {
    proxy.connections++;
    const upstream = net.connect(Number(target.port), target.hostname);
    const both = [client, upstream];
    const destroy = () => both.forEach((socket) => socket.destroy());
    both.forEach((socket) => {
      sockets.add(socket);
      socket.on("error", destroy).on("close", () => {
        sockets.delete(socket);
        destroy();
      });
    });
    const pass = (from, to, direction) =>
      from.on("data", (bytes) => {
        const last = proxy.cut(direction, bytes);
        if (last === undefined) {
          to.write(bytes);
        } else {
          from.removeAllListeners("data");
          to.write(bytes.subarray(0, last), destroy);
        }
      });
    pass(client, upstream, "up");
    pass(upstream, client, "down");
  });
  proxy.url = `http://127.0.0.1:${await listening(server)}`;
  proxy.cutAll = () => sockets.forEach((socket) => socket.destroy());
  /** Cuts once, after so many more bytes in that direction; isCut tells whether it has come to that. */
  proxy.cutOnce = (direction, count) => {
    proxy.isCut = false;
    let left = count;
    proxy.cut = (way, bytes) => {
      if (way !== direction || proxy.isCut) {
        return undefined;
      }
      proxy.isCut = bytes.length >= left;
      const last = proxy.isCut ? left : undefined;
      left -= bytes.length;
      return last;
    };
  };
  proxy.close = () => {
    server.close();
    proxy.cutAll();
  };
  return proxy;
}

/** A gateway of paper: one topic, every produce request is written down and answered by `answer` (default: stored). */
export async function startRecorder({ partitions = 1, answer } = {}) {
  const requests = [];
  let next = 0;
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      const reply = (status, body, headers = {}) => {
        response.writeHead(status, { "Content-Type": "application/json", ...headers });
        response.end(JSON.stringify(body));
      };
      if (request.method === "GET") {
        reply(200, { name: "t", partitions, replication_factor: 1, created_at: 0, config: {}, partition_info: [], topics: [] });
        return;
      }
      const messages = new PacketReader("t").push(Buffer.concat(parts));
      const entry = { headers: request.headers, messages };
      requests.push(entry);
      const own = await answer?.(entry, requests.length - 1);
      if (own) {
        reply(own.status, own.body ?? { error: { code: own.code ?? "unavailable", message: "not now" } }, own.headers);
      } else {
        reply(200, { partitions: [{ partition: messages[0].partition(), offset: next, count: messages.length }] });
        next += messages.length;
      }
    });
  });
  const url = `http://127.0.0.1:${await listening(server)}`;
  return {
    url,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
