// Standby servers that redirect: the request follows, with the token, to servers that were named and to no other.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OperatorError } from "../../src/base/errors.ts";
import { type Authority, createAuthority, type KeyPair } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { withFiles } from "./temporary-files.ts";
import { Admin, plain, vaultOn } from "./vault-fixture.ts";
import { type Front, type FrontOptions, type InPlace, startFront } from "./vault-front.ts";

const { vault: shared } = testEnv().stack;
const identity = { method: "token", namespace: "" } as const;
const admin = new Admin(shared);
let mount = "";

beforeAll(async () => {
  mount = await admin.mount("v1");
});

afterAll(() => admin.close());

/** As Vault does it: the path as asked, at the active server. */
const standbyOf =
  (active: () => string, status = 307): InPlace =>
  (response, { url }) => {
    if (url?.includes("lookup-self")) return false;
    response.writeHead(status, { location: active() + decodeURIComponent(url ?? "") }).end();
    return true;
  };

/** A standby, the active server that it names, and the product's Vault that knows the standby's address. */
async function cluster(
  options: { status?: number; front?: FrontOptions; isNamed?: boolean; product?: Parameters<typeof vaultOn>[1] } = {},
) {
  const active = await startFront(shared, options.front);
  const inPlace = standbyOf(() => active.address, options.status);
  const standby = await startFront(shared, { ...options.front, inPlace });
  const redirects = options.isNamed === false ? [] : [{ address: active.address }];
  const { vault, logs } = vaultOn(
    { ...shared, address: standby.address },
    { ...options.product, transport: { redirects, maxRetries: 0, ...options.product?.transport } },
  );
  return {
    active,
    standby,
    vault,
    logs,
    access: vault.access(identity),
    async [Symbol.asyncDispose]() {
      await vault.close();
      await standby[Symbol.asyncDispose]();
      await active[Symbol.asyncDispose]();
    },
  };
}

const at = (path: string) => ({ namespace: "", mount, engineVersion: "v1", path }) as const;
const sentTo = (front: Front) => front.arrived.filter(({ path }) => !path.includes("lookup-self"));

test("reads, writes and removals follow to a server that VAULT_REDIRECT_ADDRS names, once each", async () => {
  let asked = 0;
  await using set = await cluster({ product: { beforeMutation: () => (asked += 1) } });
  const path = "a b/c+d";
  await set.access.write(at(path), plain({ key: "value" }));
  // Before each of the two requests.
  expect(asked).toBe(2);
  expect((await set.access.read(at(path))).state).toBe("present");
  expect(await admin.send("GET", `${mount}/a%20b/c+d`)).toMatchObject({ data: { key: "value" } });
  await set.access.remove(at(path));
  expect((await set.access.read(at(path))).state).toBe("absent");
  const methods = ["PUT", "GET", "DELETE", "GET"];
  expect(sentTo(set.standby).map(({ method }) => method)).toEqual(methods);
  expect(sentTo(set.active).map(({ method }) => method)).toEqual(methods);
  // Encoded as we encoded it, whatever the redirect made of it.
  expect(new Set(sentTo(set.active).map((request) => request.path))).toEqual(
    new Set(sentTo(set.standby).map((request) => request.path)),
  );
  expect(sentTo(set.active).every(({ token }) => token === shared.rootToken)).toBe(true);
});

test("the right to write is asked for again before the second server gets the request", async () => {
  let asked = 0;
  const refusal = new Error("the Lease is lost");
  const beforeMutation = () => {
    asked += 1;
    if (asked === 2) throw refusal;
  };
  await using set = await cluster({ product: { beforeMutation } });
  await expect(set.access.write(at("x"), plain({ a: "b" }))).rejects.toBe(refusal);
  expect(sentTo(set.active)).toEqual([]);
});

test("nothing goes to a server that was not named; the message names it and the variable", async () => {
  await using set = await cluster({ isNamed: false });
  const error = (await set.access.read(at("x")).catch((thrown: unknown) => thrown)) as OperatorError;
  expect(error.code).toBe("VaultUnavailable");
  expect(error.message).toContain(`redirects to ${set.active.address} `);
  expect(error.message).toContain("VAULT_REDIRECT_ADDRS");
  expect(set.active.arrived).toEqual([]);
});

test("a redirect to another path of the same server takes the token nowhere but to the path that was configured", async () => {
  const inPlace: InPlace = (response, { url }) => {
    if (!url?.startsWith("/vault/v1/")) return false;
    response.writeHead(308, { location: url.replace("/vault", "") }).end();
    return true;
  };
  await using front = await startFront(shared, { inPlace });
  const { vault } = vaultOn({ ...shared, address: `${front.address}/vault` });
  await expect(vault.access(identity).read(at("x"))).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(front.arrived.length).toBeGreaterThan(1);
  for (const { path } of front.arrived) expect(path).toMatch(/^\/vault\/v1\//);
  await vault.close();
});

test("a write does not follow what may turn it into a read", async () => {
  await using set = await cluster({ status: 302 });
  await expect(set.access.write(at("x"), plain({ a: "b" }))).rejects.toMatchObject({ code: "VaultUnavailable" });
  expect(set.active.arrived).toEqual([]);
  expect((await set.access.read(at("x"))).state).toBe("absent");
});

test("servers that redirect to each other are asked once each, and again after a while", async () => {
  const other: { address: string } = { address: "" };
  const inPlace = standbyOf(() => other.address);
  await using one = await startFront(shared, { inPlace });
  await using two = await startFront(shared, { inPlace: standbyOf(() => one.address) });
  other.address = two.address;
  const { vault } = vaultOn(
    { ...shared, address: one.address },
    { transport: { maxRetries: 1, redirects: [{ address: two.address }] } },
  );
  await expect(vault.access(identity).read(at("x"))).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringContaining("redirects further"),
  });
  expect([sentTo(one), sentTo(two)].map(({ length }) => length)).toEqual([2, 2]);
  await vault.close();
});

test("the TLS identity is shown to each server, and each is checked", async () => {
  const authority = await createAuthority("both servers");
  const [server, client] = await Promise.all([authority.server("vault"), authority.client("operator", "operators")]);
  await using files = await withFiles({ ca: authority.caPem, cert: client.certPem, key: client.keyPem });
  const front = { tls: tlsOf(authority, server) };
  const transport = { caCert: files.path("ca"), clientCert: files.path("cert"), clientKey: files.path("key") };
  await using good = await cluster({ front, product: { transport } });
  await good.access.write(at("tls"), plain({ a: "b" }));
  expect(sentTo(good.active)).toHaveLength(1);

  const stranger = await createAuthority("somebody else");
  good.active.rotate(tlsOf(authority, await stranger.server("vault")));
  const { vault } = vaultOn(
    { ...shared, address: good.standby.address },
    { transport: { ...transport, redirects: [{ address: good.active.address }] } },
  );
  await expect(vault.access(identity).read(at("tls"))).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringContaining(good.active.address),
  });
  expect(sentTo(good.active)).toHaveLength(1);
  await vault.close();
});

function tlsOf({ caPem }: Authority, { certPem, keyPem }: KeyPair) {
  return { ca: caPem, cert: certPem, key: keyPem };
}
