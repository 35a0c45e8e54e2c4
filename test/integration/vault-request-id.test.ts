// The id by which Vault's audit log knows a request: what the real server tells of it, and where ours shows it. It tells it
// with every answer that has data or warnings, and with no refusal: neither in the body nor in a header.
import { readFile } from "node:fs/promises";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { VaultTransport } from "../../src/vault/transport.ts";
import { testEnv } from "../env/context.ts";
import { Admin, Logs } from "./vault-fixture.ts";

const { vault: shared } = testEnv().stack;
const admin = new Admin(shared);
const logs = new Logs();
const transport = new VaultTransport(
  { address: shared.address, caCert: shared.caFile, timeoutMs: 5_000, maxRetries: 0 },
  { clock: systemClock, logger: logs },
);

afterAll(() => Promise.all([transport.close(), admin.close()]));

/** The ids of the requests to a path, from the audit log. */
async function audited(path: string): Promise<readonly string[]> {
  const lines = (await readFile(shared.auditLog, "utf8")).split("\n").slice(0, -1);
  const entries = lines.map((line) => JSON.parse(line));
  return entries
    .filter(({ type, request }) => type === "request" && request.path === path)
    .map((one) => one.request.id);
}

test("an answer carries the id that the audit log holds, and so does our debug log", async () => {
  const mount = await admin.mount("v2");
  const send = (method: "GET" | "PUT", path: string, body?: object) =>
    transport.send({ method, path, namespace: "", token: shared.rootToken, ...(body && { body: { ...body } }) });
  const answers = {
    [`${mount}/data/x`]: await send("PUT", `${mount}/data/x`, { data: { a: "b" } }),
    // A KV v2 engine asked as if it were KV v1: a refusal with warnings.
    [`${mount}/x`]: await send("GET", `${mount}/x`),
  };
  for (const [path, { requestId }] of Object.entries(answers)) {
    expect(requestId).toBeDefined();
    expect(await audited(path)).toEqual([requestId]);
    expect(logs.count(`${requestId}`)).toBe(1);
  }
  expect(answers[`${mount}/x`]?.status).toBe(404);
});

test.each([
  ["403", "nowhere/x", "not-a-token"],
  ["404", "nowhere/x", shared.rootToken],
])("a refusal (%s) has none", async (status, path, token) => {
  const answer = await transport.send({ method: "GET", path, namespace: "", token });
  expect(answer).toMatchObject({ status: Number(status) });
  expect(answer).not.toHaveProperty("requestId");
});
