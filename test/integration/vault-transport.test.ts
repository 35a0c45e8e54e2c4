// What stands between us and Vault, and what no Vault can be made to do on demand: proxies' pages, half answers, load,
// silence. The server here is such a thing in between, not a stand-in for Vault.
import { once } from "node:events";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { OperatorError } from "../../src/base/errors.ts";
import { VaultTransport } from "../../src/vault/transport.ts";
import { eventually } from "../env/eventually.ts";
import { freePort } from "../env/ports.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { Logs, plain, vaultOn } from "./vault-fixture.ts";

const place = { namespace: "", mount: "kv", engineVersion: "v1", path: "x" } as const;
const found = JSON.stringify({ request_id: "r", data: { a: "b" }, auth: null });
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

/** How the n-th request (from 0) to the secret is answered. */
type Answer = (response: ServerResponse, attempt: number, request: IncomingMessage) => void;

/** A server that knows every token, and answers everything else as told. */
async function between(answer: Answer, options: Parameters<typeof vaultOn>[1] = {}) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    request.resume();
    if (request.url === "/v1/auth/token/lookup-self") {
      response.end(JSON.stringify({ request_id: "r", data: { ttl: 0, renewable: false } }));
      return;
    }
    requests.push(`${request.method} ${request.url}`);
    answer(response, requests.length - 1, request);
  });
  const port = await freePort();
  await once(server.listen(port, "127.0.0.1"), "listening");
  const address = `http://127.0.0.1:${port}`;
  const made = vaultOn({ address, caPem: "", rootToken: "canary-token" }, options);
  stops.push(async () => {
    server.closeAllConnections();
    server.close();
    await made.vault.close();
  });
  return {
    access: made.vault.access({ method: "token", namespace: "" }),
    vault: made.vault,
    requests,
    logs: made.logs,
    address,
  };
}

const page =
  (status: number, text: string): Answer =>
  (response) =>
    response.writeHead(status).end(text);

test.each([
  ["a proxy's page with status 404", 404, "<html>not here</html>"],
  ["a proxy's page with status 200", 200, "<html>welcome</html>"],
  ["a proxy's page with status 403", 403, "<html>canary</html>"],
  ["JSON of something else", 404, '{"message":"canary"}'],
  ["half an answer", 200, '{"request_id":"r","data":{"a":"canary'],
  ["an empty answer", 200, ""],
  ["a list", 200, "[]"],
])("%s is never read as what Vault holds", async (_what, status, text) => {
  const { access, logs } = await between(page(status, text));
  const error = await access.read(place).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "VaultUnavailable", message: expect.stringContaining("VAULT_ADDR") });
  expect((error as OperatorError).message + logs.lines.join("\n")).not.toContain("canary");
});

test("a read is repeated when it failed, a write only when it surely was not executed", async () => {
  const failing = await between((response, attempt) =>
    attempt === 0 ? page(500, '{"errors":["internal error"]}')(response, attempt, response.req) : response.end(found),
  );
  expect((await failing.access.read(place)).state).toBe("present");
  expect(failing.requests).toHaveLength(2);

  const broken = await between((response) => response.destroy());
  await expect(broken.access.write(place, plain({ a: "b" }))).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(broken.requests).toHaveLength(1);

  const limited = await between((response, attempt) =>
    attempt === 0 ? response.writeHead(429, { "retry-after": "0" }).end("{}") : response.writeHead(204).end(),
  );
  await limited.access.write(place, plain({ a: "b" }));
  expect(limited.requests).toHaveLength(2);
});

test.each([
  ["a secondary", 472],
  ["a performance standby", 473],
  ["a standby that is behind", 412],
  ["a server that is busy for now", 503],
])("%s did nothing: a write is sent again", async (_what, status) => {
  const { access, requests } = await between((response, attempt) =>
    attempt === 0 ? response.writeHead(status, { "retry-after": "0" }).end("{}") : response.writeHead(204).end(),
  );
  await access.write(place, plain({ a: "b" }));
  expect(requests).toEqual(["PUT /v1/kv/x", "PUT /v1/kv/x"]);
});

test("a server that asks for more than ten seconds gets no second request before them", async () => {
  const { access, requests } = await between((response) => response.writeHead(429, { "retry-after": "11" }).end("{}"));
  await expect(access.read(place)).rejects.toMatchObject({ code: "VaultUnavailable", retryAfterMs: 11_000 });
  expect(requests).toHaveLength(1);
});

test("VAULT_MAX_RETRIES is how often a read is repeated", async () => {
  const { access, requests } = await between(page(502, "bad gateway"), { transport: { maxRetries: 1 } });
  await expect(access.read(place)).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(requests).toHaveLength(2);
});

test("silence ends after VAULT_CLIENT_TIMEOUT, in the headers and in the body alike", async () => {
  for (const answer of [() => {}, (response: ServerResponse) => response.write('{"request_id":')]) {
    const { access, requests } = await between(answer, { transport: { timeoutMs: 200 } });
    await expect(access.read(place)).rejects.toMatchObject({
      code: "VaultUnavailable",
      message: expect.stringContaining("VAULT_CLIENT_TIMEOUT"),
    });
    expect(requests).toHaveLength(1);
  }
});

test("VAULT_CLIENT_TIMEOUT ends the wait for a connection, too", async () => {
  // Takes connections, and says nothing in the handshake.
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const tls = `https://127.0.0.1:${port}`;
  const { vault } = vaultOn({ address: tls, caPem: "", rootToken: "t" }, { transport: { timeoutMs: 200 } });
  const start = performance.now();
  await expect(vault.access({ method: "token", namespace: "" }).read(place)).rejects.toMatchObject({
    message: expect.stringContaining("VAULT_CLIENT_TIMEOUT"),
  });
  expect(performance.now() - start).toBeLessThan(5_000);
  await vault.close();
  server.close();
});

test("after a time-out no connection is used that was idle then: they were lost together", async () => {
  const known = new Set<unknown>();
  const waiting: ServerResponse[] = [];
  let together = 1;
  let isLost = false;
  const answer: Answer = (response, _attempt, { socket }) => {
    if (isLost && known.has(socket)) return;
    known.add(socket);
    waiting.push(response);
    // So that there is a connection for each.
    if (isLost || waiting.length === together) for (const each of waiting.splice(0)) each.end(found);
  };
  const { access } = await between(answer, { transport: { timeoutMs: 500 } });
  const read = (times: number) => Promise.all(Array.from({ length: times }, () => access.read(place)));
  // Logs in, too: on a connection that is idle from now on.
  await read(1);
  together = 4;
  await read(4);
  isLost = true;
  await expect(read(1)).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect((await read(4)).map(({ state }) => state)).toEqual(["present", "present", "present", "present"]);
});

test("an answer larger than any of Vault's is not read to its end", async () => {
  const chunk = Buffer.alloc(1024 * 1024, 0x20);
  let sent = 0;
  const { access } = await between((response) => {
    const more = () => {
      for (sent += 1; sent < 200 && response.write(chunk); sent += 1);
      if (sent < 200) response.once("drain", more);
    };
    more();
  });
  await expect(access.read(place)).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(sent).toBeLessThan(100);
});

test("what Vault repeats of a refused write is not repeated further", async () => {
  const { access, logs } = await between((response) =>
    response.writeHead(400).end(JSON.stringify({ errors: ["cannot store canary-value: bad", "token canary-value"] })),
  );
  const error = (await access.write(place, plain({ a: "canary-value" })).catch((thrown: unknown) => thrown)) as Error;
  expect(error.message).toContain("cannot store [removed]: bad");
  expect(error.message + logs.lines.join("\n")).not.toContain("canary");
});

test("every request says that it is meant for Vault, and for which namespace", async () => {
  const headers: unknown[] = [];
  const { access } = await between((response, _attempt, request) => {
    headers.push([request.headers["x-vault-request"], request.headers["x-vault-namespace"]]);
    response.end(found);
  });
  await access.read(place);
  await access.read({ ...place, namespace: "team/a" });
  expect(headers).toEqual([
    ["true", undefined],
    ["true", "team/a"],
  ]);
});

test("a path prefix of the address is kept", async () => {
  const behind = await between(page(200, found));
  const { vault } = vaultOn({ address: `${behind.address}/vault/`, caPem: "", rootToken: "t" });
  await expect(vault.access({ method: "token", namespace: "" }).read(place)).resolves.toMatchObject({
    state: "present",
  });
  expect(behind.requests).toEqual(["GET /vault/v1/auth/token/lookup-self", "GET /vault/v1/kv/x"]);
  await vault.close();
});

test("VAULT_RATE_LIMIT holds requests back", async () => {
  const { access, requests } = await between(page(200, found), {
    transport: { rateLimit: { perSecond: 50, burst: 2 } },
  });
  const start = performance.now();
  await Promise.all(Array.from({ length: 12 }, () => access.read(place)));
  // One look-up of the token and twelve reads, two of them at once: eleven turns of 20 ms.
  expect(requests).toHaveLength(12);
  expect(performance.now() - start).toBeGreaterThan(200);
});

test("a stop waits neither for turns nor to ask again; what is in flight is answered", async () => {
  const clock = new FakeClock();
  const answers: ServerResponse[] = [];
  const { access, vault, requests, logs } = await between((response) => answers.push(response), {
    clock,
    transport: { rateLimit: { perSecond: 0.001, burst: 3 } },
  });
  // One turn is the look-up of the token.
  const reads = Array.from({ length: 5 }, () => access.read(place).catch((error: unknown) => error));
  await eventually(() => expect(answers).toHaveLength(2));
  answers[1]?.writeHead(500).end('{"errors":[]}');
  await eventually(() => expect(logs.count("retrying request to Vault")).toBe(1));
  const closed = vault.close();
  const stopped = { code: "VaultUnavailable", message: "the operator is stopping and calls Vault no more" };
  expect(await Promise.all(reads.slice(1))).toMatchObject([stopped, stopped, stopped, stopped]);
  answers[0]?.end(found);
  expect(await reads[0]).toMatchObject({ state: "present" });
  await closed;
  expect(requests).toHaveLength(2);
});

test("what cleans up after a stop goes out at once, whatever VAULT_RATE_LIMIT says", async () => {
  const { address, requests } = await between(page(200, found));
  const transport = new VaultTransport(
    { address, timeoutMs: 5_000, maxRetries: 0, rateLimit: { perSecond: 0.001, burst: 1 } },
    { clock: new FakeClock(), logger: new Logs() },
  );
  const send = () => transport.send({ method: "GET", path: "kv/x", namespace: "" });
  await send();
  const waiting = send();
  transport.stopWaiting();
  await expect(waiting).rejects.toMatchObject({ code: "VaultUnavailable", executed: "no" });
  await send();
  await transport.close();
  await expect(send()).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(requests).toHaveLength(2);
});

test("closing waits five seconds for an answer, and no longer", async () => {
  const clock = new FakeClock();
  const silent = await between(() => {}, { clock });
  const read = silent.access.read(place).catch((error: unknown) => error);
  await eventually(() => expect(silent.requests).toHaveLength(1));
  const order: string[] = [];
  const closed = silent.vault.close().then(() => order.push("closed"));
  await clock.advance(4_999);
  expect(order).toEqual([]);
  await clock.advance(1);
  await closed;
  await silent.vault.close();
  expect(await read).toMatchObject({ code: "VaultUnavailable" });
});

test("a process that may not write any more sends no write, and the refusal is what the caller gets", async () => {
  let leading = true;
  const refusal = new Error("the Lease is lost");
  const beforeMutation = () => {
    if (!leading) throw refusal;
  };
  const { access, requests } = await between((response) => response.end(found), { beforeMutation });
  await access.write(place, new Map());
  leading = false;
  await expect(access.write(place, new Map())).rejects.toBe(refusal);
  await expect(access.remove(place)).rejects.toBe(refusal);
  expect(await access.read(place)).toMatchObject({ state: "present" });
  expect(requests).toEqual(["PUT /v1/kv/x", "GET /v1/kv/x"]);
});
