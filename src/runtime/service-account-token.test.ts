import { expect, test } from "vitest";
import { createToken } from "./service-account-token.ts";

const account = { namespace: "ns", name: "one" };

test.each([
  ["an empty object", {}],
  ["a null status", { status: null }],
  ["a token without an end", { status: { token: "hunter2" } }],
  ["an end that is no time", { status: { token: "hunter2", expirationTimestamp: "hunter2" } }],
  ["an end without a token", { status: { expirationTimestamp: "2026-01-01T00:00:00Z" } }],
])("%s in place of a token is an error that quotes none of it", async (_, answer) => {
  const client = { create: <T>() => Promise.resolve(answer as T) };
  const error: unknown = await createToken(client, account).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: "InvalidResponse" });
  expect(String(error)).not.toContain("hunter2");
});
