// Values of Vault's transit engine: with which key, in which Vault, bound to what, and what Vault's refusals become. A
// named key never leads anywhere but to a transit engine.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Decryptor } from "../../src/kms/cipher.ts";
import { createDecryptor, type KmsOptions } from "../../src/kms/factory.ts";
import { privateVault } from "../env/private.ts";
import { uniqueName } from "../env/unique.ts";
import { withFiles } from "./temporary-files.ts";
import { Admin, type Server, vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";
import { openWorld, type World } from "./world.ts";

const server = inject("stack").vault;
const admin = new Admin(server);
const mount = uniqueName("transit");
/** A mount of several segments. */
const deep = `${mount}-deep/teams/shop`;
const context = { app: "shop", "k8s.patoarvizu.dev/namespace": "größe" };
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  for (const at of [mount, deep]) await admin.send("POST", `sys/mounts/${at}`, { type: "transit" });
  for (const at of [mount, deep]) await admin.send("POST", `${at}/keys/shop`, { type: "aes256-gcm96" });
});

afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()));
  await admin.close();
});

async function encrypt(plaintext: string, { key = `${mount}/encrypt/shop`, body = {} } = {}): Promise<string> {
  const base64 = Buffer.from(plaintext).toString("base64");
  return (await admin.send("POST", key, { plaintext: base64, ...body })).data.ciphertext;
}

/** As whoever has the token; the root token by default. */
function decryptorAs(token = server.rootToken, options: KmsOptions = {}, to: Server = server): Decryptor {
  const { vault, logs: logger } = vaultOn(to, { env: { VAULT_TOKEN: token } });
  opened.push(vault);
  const transit = vault.transit({ method: "token", namespace: "" });
  return createDecryptor(options, { clock: systemClock, logger, report: () => {}, transit });
}

async function open(decryptor: Decryptor, encryptedSecret: string, keyId?: string, encryptionContext = {}) {
  const call = keyId === undefined ? {} : { keyId };
  return Buffer.from((await decryptor.decrypt({ encryptedSecret, encryptionContext }, call)).open()).toString();
}

test("a Vault that passes over associated data, as those before 1.13 did, binds no value", async () => {
  const { vault, logs: logger } = vaultOn(server, { env: { VAULT_TOKEN: server.rootToken } });
  opened.push(vault);
  const real = vault.transit({ method: "token", namespace: "" });
  const transit = {
    decrypt: ({ key, ciphertext }: Parameters<typeof real.decrypt>[0], signal?: AbortSignal) =>
      real.decrypt({ key, ciphertext }, signal),
  };
  const old = createDecryptor({}, { clock: systemClock, logger, report: () => {}, transit });
  const value = await encrypt("bound to nothing");
  await expect(open(old, value, `${mount}/shop`, context)).rejects.toMatchObject({
    code: "DecryptingError",
    message: expect.stringContaining("bound to nothing"),
  });
  expect(await open(old, value, `${mount}/shop`)).toBe("bound to nothing");
});

describe("the key", () => {
  test("is the one that the object names, whatever the depth of its mount; else the operator's", async () => {
    const decryptor = decryptorAs(server.rootToken, { transitKey: `${mount}/shop` });
    expect(await open(decryptor, await encrypt("a"), `${mount}/shop`)).toBe("a");
    expect(await open(decryptor, await encrypt("b", { key: `${deep}/encrypt/shop` }), `${deep}/shop`)).toBe("b");
    expect(await open(decryptor, await encrypt("c"))).toBe("c");
    await expect(open(decryptorAs(), await encrypt("d"))).rejects.toMatchObject({
      code: "KeyNotAllowed",
      message: expect.stringContaining("set spec.kmsKeyId to <mount>/<key>"),
    });
  });

  test("may be of any version that Vault still lets be used", async () => {
    const decryptor = decryptorAs();
    await admin.send("POST", `${mount}/keys/turned`, { type: "chacha20-poly1305" });
    const key = { key: `${mount}/encrypt/turned` };
    const first = await encrypt("first", key);
    await admin.send("POST", `${mount}/keys/turned/rotate`, {});
    expect(await encrypt("second", key)).toMatch(/^vault:v2:/);
    expect(await open(decryptor, first, `${mount}/turned`)).toBe("first");
    expect(await open(decryptor, await encrypt("second", key), `${mount}/turned`)).toBe("second");
    await admin.send("POST", `${mount}/keys/turned/config`, { min_decryption_version: 2 });
    await expect(open(decryptor, first, `${mount}/turned`)).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("min_decryption_version"),
    });
  });

  test("must be on every list of keys", async () => {
    const value = await encrypt("a");
    for (const [ours, policys, allowed] of [
      [["*"], ["*"], true],
      [[`${mount}/shop`], ["alias/x", `${mount}/shop`], true],
      [["alias/x"], undefined, false],
      [undefined, [`${mount}/*`, mount], false],
      [[], ["*"], false],
    ] as const) {
      const decryptor = decryptorAs(server.rootToken, ours === undefined ? {} : { allowedKeys: ours });
      const call = { keyId: `${mount}/shop`, ...(policys && { allowedKeys: policys }) };
      const opening = decryptor.decrypt({ encryptedSecret: value, encryptionContext: {} }, call);
      if (allowed) expect(Buffer.from((await opening).open()).toString()).toBe("a");
      else await expect(opening).rejects.toMatchObject({ code: "KeyNotAllowed" });
    }
  });

  test.each([
    "shop",
    "/shop",
    "transit/",
    "transit//shop",
    "transit/../shop",
    "a/./b",
    "transit/sh op",
    "transit/shop?x",
    "ä/b",
  ])("is never %s", async (keyId) => {
    await expect(open(decryptorAs(), "vault:v1:AAAA", keyId)).rejects.toMatchObject({ code: "KeyNotAllowed" });
  });
});

describe("a key that is named leads to a transit engine alone", () => {
  test("not below a KV mount, where asking would be writing", async () => {
    const [v1, v2] = [await admin.mount("v1"), await admin.mount("v2")];
    const decryptor = decryptorAs();
    for (const keyId of [
      `${v1}/stolen`,
      `${v1}/deep/stolen`,
      `${v2}/stolen`,
      `${v2}/data/stolen`,
      "sys/x",
      "auth/token/x",
    ]) {
      await expect(open(decryptor, await encrypt("a"), keyId)).rejects.toMatchObject({
        code: expect.stringMatching(/^(DecryptingError|KMSAccessDenied)$/),
      });
    }
    expect((await admin.ask("LIST", v1)).status).toBe(404);
    expect((await admin.ask("LIST", `${v2}/metadata`)).status).toBe(404);
  });

  test("not into a transit engine's own paths", async () => {
    for (const keyId of [`${mount}/keys/shop`, `${mount}/decrypt/shop`]) {
      await expect(open(decryptorAs(), await encrypt("a"), keyId)).rejects.toMatchObject({
        code: "DecryptingError",
        message: expect.stringContaining("no transit engine"),
      });
    }
  });
});

describe("what a value is bound to", () => {
  const associated = {
    associated_data: Buffer.from('{"app":"shop","k8s.patoarvizu.dev/namespace":"größe"}').toString("base64"),
  };

  test.each(["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305"])("is Vault's associated data (%s)", async (type) => {
    const name = `bound-${type}`;
    await admin.send("POST", `${mount}/keys/${name}`, { type });
    const value = await encrypt("bound", { key: `${mount}/encrypt/${name}`, body: associated });
    const decryptor = decryptorAs();
    expect(await open(decryptor, value, `${mount}/${name}`, context)).toBe("bound");
    for (const wrong of [{}, { app: "shop" }, { ...context, app: "other" }, { ...context, more: "" }]) {
      await expect(open(decryptor, value, `${mount}/${name}`, wrong)).rejects.toMatchObject({
        code: "DecryptingError",
        message: expect.stringMatching(/made with another key or encryption context/),
      });
    }
  });

  const bound = `${mount}/shop`;

  test("is believed of no Vault that ignores it, whole or damaged", async () => {
    // Vault before 1.13 does not know the member.
    const rewrite = (body: object) =>
      Object.fromEntries(Object.entries(body).filter(([name]) => name !== "associated_data"));
    await using front = await startFront(server, { rewrite });
    const decryptor = decryptorAs(server.rootToken, {}, { ...server, address: front.address });
    const unbound = await encrypt("unbound");
    for (const value of [unbound, unbound.slice(0, -8) + "AAAAAAA=", unbound]) {
      const failure = await open(decryptor, value, bound, context).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "DecryptingError" });
      if (value !== unbound) continue;
      expect(failure).toMatchObject({
        message: expect.stringMatching(/bound to nothing.*Vault 1\.13.*OpenBao.*aes256-gcm96/),
      });
    }
    expect(await open(decryptor, unbound, bound)).toBe("unbound");
  });

  test("is asked about once for each key, by another request with the same value, once that is known to be whole", async () => {
    await using front = await startFront(server);
    const decryptor = decryptorAs(server.rootToken, {}, { ...server, address: front.address });
    const values = await Promise.all(["a", "b", "c"].map((each) => encrypt(each, { body: associated })));
    const found = await Promise.all(values.map((value) => open(decryptor, value, bound, context)));
    expect(found).toEqual(["a", "b", "c"]);
    expect(await open(decryptor, values[0] ?? "", bound, context)).toBe("a");
    const paths = front.arrived.map(({ path }) => path);
    expect(paths.filter((path) => path.includes("/sys/internal/"))).toHaveLength(1);
    expect(paths.filter((path) => path.endsWith("/decrypt/shop"))).toHaveLength(5);
  });

  test("is not believed of a Vault that says that it ignores it", async () => {
    await using front = await startFront(server, {
      inPlace: (response, { url }) => {
        if (url?.includes("/decrypt/") !== true) return false;
        const warnings = ["Endpoint ignored these unrecognized parameters: [associated_data]"];
        response.end(JSON.stringify({ request_id: "", data: { plaintext: "YQ==" }, warnings }));
        return true;
      },
    });
    const decryptor = decryptorAs(server.rootToken, {}, { ...server, address: front.address });
    await expect(open(decryptor, await encrypt("a"), bound, context)).rejects.toMatchObject({
      message: expect.stringMatching(/passes over.*Vault 1\.13/),
    });
  });

  test.each(["rsa-2048", "rsa-4096"])("is nothing to a key that takes none (%s)", async (type) => {
    const name = `unbinding-${type}`;
    await admin.send("POST", `${mount}/keys/${name}`, { type });
    const value = await encrypt("a", { key: `${mount}/encrypt/${name}` });
    expect(await open(decryptorAs(), value, `${mount}/${name}`)).toBe("a");
    await expect(open(decryptorAs(), value, `${mount}/${name}`, context)).rejects.toMatchObject({
      code: "DecryptingError",
    });
  });

  test("cannot be a derived key's", async () => {
    await admin.send("POST", `${mount}/keys/derived`, { type: "aes256-gcm96", derived: true });
    const body = { context: Buffer.from("x").toString("base64") };
    const value = await encrypt("a", { key: `${mount}/encrypt/derived`, body });
    await expect(open(decryptorAs(), value, `${mount}/derived`)).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("is a derived one"),
    });
  });
});

describe("Vault's refusals", () => {
  test("a key that is not there", async () => {
    await expect(open(decryptorAs(), await encrypt("a"), `${mount}/nobody`)).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining(`no transit key ${mount}/nobody`),
    });
  });

  test("a token that may not use it, and one that may do nothing there", async () => {
    const other = await admin.token({ [`${mount}/decrypt/other`]: ["update"] });
    await expect(open(decryptorAs(other), await encrypt("a"), `${mount}/shop`)).rejects.toMatchObject({
      code: "KMSAccessDenied",
      message: expect.stringContaining(`grant update on ${mount}/decrypt/shop`),
    });
    const none = await admin.token({});
    await expect(open(decryptorAs(none), await encrypt("a"), `${mount}/shop`)).rejects.toMatchObject({
      code: "KMSAccessDenied",
    });
  });

  test("a token that may use nothing but it is enough", async () => {
    const token = await admin.token({ [`${mount}/decrypt/shop`]: ["update"] });
    expect(await open(decryptorAs(token), await encrypt("a"), `${mount}/shop`)).toBe("a");
  });

  test("a token that Vault does not know", async () => {
    await expect(open(decryptorAs("nobody"), await encrypt("a"), `${mount}/shop`)).rejects.toMatchObject({
      code: "KMSAccessDenied",
    });
  });

  test("sealed, and gone: nothing of the object's, and it heals", async () => {
    await using vault = await privateVault();
    const its = new Admin(vault.info);
    await its.send("POST", "sys/mounts/transit", { type: "transit" });
    await its.send("POST", "transit/keys/shop", {});
    const { ciphertext } = (await its.send("POST", "transit/encrypt/shop", { plaintext: "YQ==" })).data;
    const decryptor = decryptorAs(vault.info.rootToken, {}, vault.info);
    expect(await open(decryptor, ciphertext, "transit/shop")).toBe("a");
    await vault.seal();
    await expect(open(decryptor, ciphertext, "transit/shop")).rejects.toMatchObject({
      code: "KMSUnavailable",
      message: expect.stringContaining("unseal it"),
    });
    await vault.unseal();
    expect(await open(decryptor, ciphertext, "transit/shop")).toBe("a");
    await vault.stop();
    await expect(open(decryptor, ciphertext, "transit/shop")).rejects.toMatchObject({ code: "KMSUnavailable" });
    await its.close();
  });

  test("a call that is cancelled is not sent", async () => {
    const call = { keyId: `${mount}/shop`, signal: AbortSignal.abort() };
    const request = { encryptedSecret: await encrypt("a"), encryptionContext: {} };
    await expect(decryptorAs().decrypt(request, call)).rejects.toMatchObject({ code: "KMSUnavailable" });
  });
});

test("a Vault that hangs holds nearly all workers up for less than 5 s, and heals", async () => {
  const value = await encrypt("a");
  const keyId = `${mount}/shop`;
  let isHanging = false;
  await using front = await startFront(server, { inPlace: () => isHanging });
  const decryptor = decryptorAs(server.rootToken, { maxInFlight: 10 }, { ...server, address: front.address });
  expect(await open(decryptor, value, keyId)).toBe("a");
  isHanging = true;
  const since = performance.now();
  const codes = new Set<unknown>();
  const worker = async () => {
    for (let object = 0; object < 3; object += 1) {
      codes.add(await open(decryptor, value, keyId).catch(({ code }: { readonly code: string }) => code));
    }
    return performance.now() - since;
  };
  const heldUpMs = (await Promise.all(Array.from({ length: 10 }, worker))).toSorted((one, other) => one - other);
  expect([...codes]).toEqual(["KMSUnavailable"]);
  // One goes on trying.
  expect(heldUpMs.at(-2)).toBeLessThan(5_000);
  isHanging = false;
  expect(await open(decryptor, value, keyId)).toBe("a");
});

describe("the operator", () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });

  afterAll(() => world[Symbol.asyncDispose]());

  test("takes keys from the Vault that it writes to, by its own login", async () => {
    await world.start({ args: [`--transit-key=${mount}/shop`] });
    const secrets = [
      { key: "a", encryptedSecret: await encrypt("transit value") },
      await world.entry("b", "KMS value"),
    ];
    await world.sync("mixed", { path: `${world.v2}/data/mixed`, secrets });
    expect(await world.atV2("mixed")).toEqual({ a: "transit value", b: "KMS value" });
    expect(world.operator.output()).not.toContain("transit value");
    await world.operator.stop();
  });

  test("binds values to their object", async () => {
    await world.start();
    const place = { "k8s.patoarvizu.dev/name": "bound", "k8s.patoarvizu.dev/namespace": world.namespace };
    const body = { associated_data: Buffer.from(JSON.stringify(place)).toString("base64") };
    const secrets = [{ key: "a", encryptedSecret: await encrypt("bound", { body }) }];
    const spec = { kmsKeyId: `${mount}/shop`, provider: "VaultTransit", bindContext: "Object", secrets };
    await world.sync("bound", { ...spec, path: `${world.v2}/data/bound` });
    expect(await world.atV2("bound")).toEqual({ a: "bound" });
    await world.apply("copied", { ...spec, path: `${world.v2}/data/copied` });
    const { message } = await world.untilReady("copied", "DecryptingError");
    expect(message).toContain("by bindContext it belongs to");
    expect(await world.versionOf("copied")).toBeUndefined();
    await world.operator.stop();
  });

  test("takes keys from another Vault, and takes up its token when that changes", async () => {
    await using vault = await privateVault();
    const its = new Admin(vault.info);
    await its.send("POST", "sys/namespaces/keys", {});
    await its.send("POST", "keys/sys/mounts/transit", { type: "transit" });
    await its.send("POST", "keys/transit/keys/shop", {});
    const { ciphertext } = (await its.send("POST", "keys/transit/encrypt/shop", { plaintext: "YQ==" })).data;
    await using files = await withFiles({ token: "not yet a token\n" });
    await world.start({
      env: {
        VAULT_TRANSIT_ADDR: vault.info.address,
        VAULT_TRANSIT_CACERT: vault.info.caFile,
        VAULT_TRANSIT_TOKEN_FILE: files.path("token"),
        VAULT_TRANSIT_NAMESPACE: "keys",
      },
    });
    const secrets = [{ key: "a", encryptedSecret: ciphertext }];
    await world.apply("far", { path: `${world.v2}/data/far`, kmsKeyId: "transit/shop", secrets });
    const { message } = await world.untilReady("far", "KMSAccessDenied");
    expect(message).toContain("VAULT_TRANSIT_TOKEN_FILE");
    await files.write("token", `${vault.info.rootToken}\n`);
    await world.untilReady("far", "Synced");
    expect(await world.atV2("far")).toEqual({ a: "a" });
    expect(world.operator.output()).not.toContain(vault.info.rootToken);
    await its.close();
  });
});
