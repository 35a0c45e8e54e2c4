// The metadata of KV v2 secrets at the real server: what is seen of it by either read, and how it is changed by PATCH, by
// writing the whole, or not at all, as the policy allows.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Destination, Metadata } from "../../src/vault/kv/engine.ts";
import type { VaultAccess } from "../../src/vault/vault.ts";
import { testEnv } from "../env/context.ts";
import { Admin, plain, vaultOn } from "./vault-fixture.ts";
import { PlainValue } from "../../src/base/plaintext.ts";

const server = testEnv().stack.vault;
const root = { method: "token", namespace: "" } as const;
const admin = new Admin(server);
const { vault } = vaultOn(server);
const access = vault.access(root);
const hourMs = 3_600_000;
let mount = "";

beforeAll(async () => {
  mount = await admin.mount("v2");
});
afterAll(async () => {
  await vault.close();
  await admin.close();
});

/** A secret with a key of the user's own in its metadata. */
async function secret(path: string): Promise<Destination> {
  const destination = await access.resolve(`${mount}/${path}`);
  await access.write(destination, plain({ a: "1" }), 0);
  await admin.send("POST", `${mount}/metadata/${path}`, { custom_metadata: { note: "mine" }, max_versions: 7 });
  return destination;
}

async function metadataOf(path: string) {
  return (await admin.send("GET", `${mount}/metadata/${path}`)).data;
}

/** The metadata that a look sees. */
async function seen(look: Promise<object>): Promise<Metadata | undefined> {
  return ((await look) as { metadata?: Metadata }).metadata;
}

test("the metadata tells everything, the data only the custom keys, nothing that there is nothing", async () => {
  const destination = await secret("seen");
  const custom = { note: "mine" };
  expect(await seen(access.observe(destination))).toEqual({
    custom,
    settings: { maxVersions: 7, deleteVersionAfterMs: 0 },
  });
  expect(await seen(access.read(destination))).toEqual({ custom });
  expect(await seen(access.observe({ ...destination, path: "unseen" }))).toEqual({
    custom: {},
    settings: { maxVersions: 0, deleteVersionAfterMs: 0 },
  });
});

test("what is changed is changed, what is not named stays, null takes away", async () => {
  const destination = await secret("changed");
  const change = { custom: { owner: "us", note: null }, settings: { deleteVersionAfterMs: 1.5 * hourMs } };
  expect(await access.writeMetadata(destination, change, { custom: {} })).toBeUndefined();
  expect(await metadataOf("changed")).toMatchObject({
    custom_metadata: { owner: "us" },
    max_versions: 7,
    delete_version_after: "1h30m0s",
    current_version: 1,
  });
  expect(await seen(access.observe(destination))).toEqual({
    custom: { owner: "us" },
    settings: { maxVersions: 7, deleteVersionAfterMs: 1.5 * hourMs },
  });
});

test("a secret that is gone is not made again by its mark", async () => {
  const destination = await access.resolve(`${mount}/gone`);
  expect(await access.writeMetadata(destination, { custom: { owner: "us" } }, { custom: {} })).toBeUndefined();
  expect((await admin.ask("GET", `${mount}/metadata/gone`)).status).toBe(404);
});

describe("by policy", () => {
  /** The product's Vault with what is allowed on metadata, and the requests that it makes. */
  async function limited(capabilities: readonly string[]): Promise<{
    readonly as: VaultAccess;
    readonly requests: string[];
    readonly close: () => Promise<void>;
  }> {
    const token = await admin.token({
      [`${mount}/data/*`]: ["create", "read", "update"],
      [`${mount}/metadata/*`]: capabilities,
    });
    const requests: string[] = [];
    const metrics = {
      requestDone: (method: string, status: string) => requests.push(`${method} ${status}`),
      loginDone() {},
    };
    const made = vaultOn(server, { auth: { token: { token: new PlainValue(token) } }, metrics });
    return { as: made.vault.access(root), requests, close: () => made.vault.close() };
  }

  test("update without patch: the whole is written, with the user's keys, and patch is not asked for again", async () => {
    const destination = await secret("update");
    const { as, requests, close } = await limited(["read", "update"]);
    const known = await seen(as.observe(destination));
    requests.length = 0;
    expect(await as.writeMetadata(destination, { custom: { owner: "us" } }, known)).toBeUndefined();
    const both = { custom: { note: "mine", owner: "us" } };
    expect(await as.writeMetadata(destination, { custom: { owner: "we" } }, both)).toBeUndefined();
    expect(await metadataOf("update")).toMatchObject({
      custom_metadata: { note: "mine", owner: "we" },
      max_versions: 7,
    });
    expect(requests.filter((request) => request.startsWith("PATCH"))).toEqual(["PATCH 403"]);
    await close();
  });

  test("neither: it says which capability is missing, changes nothing, and does not ask again", async () => {
    const destination = await secret("neither");
    const { as, requests, close } = await limited(["read"]);
    const why = `${mount}/metadata/neither may not be changed: grant patch, or update, on it`;
    expect(await as.writeMetadata(destination, { custom: { owner: "us" } }, { custom: {} })).toBe(why);
    requests.length = 0;
    expect(await as.writeMetadata(destination, { custom: { owner: "us" } }, { custom: {} })).toBe(why);
    expect(requests).toEqual([]);
    expect((await metadataOf("neither")).custom_metadata).toEqual({ note: "mine" });
    await close();
  });

  test("what was not seen is never written over", async () => {
    const destination = await secret("unseen-by-us");
    const { as, close } = await limited(["update"]);
    expect(await as.writeMetadata(destination, { custom: { owner: "us" } })).toContain("grant patch");
    expect((await metadataOf("unseen-by-us")).custom_metadata).toEqual({ note: "mine" });
    await close();
  });

  test("a secret whose metadata has no room is told about once", async () => {
    const destination = await secret("full");
    const full = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`key-${index}`, "mine"]));
    await admin.send("POST", `${mount}/metadata/full`, { custom_metadata: full });
    const { as, requests, close } = await limited(["read", "update"]);
    const first = await as.writeMetadata(destination, { custom: { owner: "us" } }, { custom: full });
    expect(first).toContain(`Vault refuses to change ${mount}/metadata/full`);
    requests.length = 0;
    expect(await as.writeMetadata(destination, { custom: { owner: "us" } }, { custom: full })).toBe(first);
    expect(requests).toEqual([]);
    await close();
  });
});
