// The canary test: distinctive values, ciphertexts and credentials go through everything that can go well or wrong, at
// the most talkative log level, and then everything that the operator says is searched for them.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { openWorld, type World } from "./world.ts";

const canaries = {
  plaintext: "canary-plaintext-6kQ",
  foreign: "canary-foreign-data-8wX",
  base64: "canary+no+base64!!-3jR",
  password: "canary-password-5tZ",
  multiline: '{"json": "canary-in-json-2pL",\n',
  token: "canary-token-9dV",
};
/** Everything that must not be said, in the forms in which it might be. */
const forbidden = new Set<string>();
let world: World;

beforeAll(async () => {
  for (const canary of Object.values(canaries)) forbid(canary);
  forbid("canary-in-json-2pL");
  world = await openWorld({
    args: ["--log-level=debug", "--sync-period-seconds=1"],
    env: { VAULT_USERNAME: "nobody", VAULT_PASSWORD: canaries.password, VAULT_MAX_RETRIES: "0" },
  });
  forbid(inject("stack").vault.rootToken);
  await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());

test("no value, ciphertext or credential is in the output, the metrics, an event, a status or any other object", async () => {
  await everythingThatGoesWell();
  await everythingThatGoesWrong();
  const before = await everythingSaid();
  await world.restart({ env: { VAULT_TOKEN: canaries.token } });
  await world.settled("well", "VaultLoginFailed");
  const after = await everythingSaid();
  // Each canary was there to be let out.
  expect(await world.atV2("canary")).toEqual({ k: canaries.plaintext, json: canaries.multiline });
  for (const [where, text] of [...Object.entries(before), ...Object.entries(after)]) {
    expect(text.length, where).toBeGreaterThan(100);
    expect(found(text), `found in ${where}`).toEqual([]);
  }
  expect(before.output).toContain('"level":"debug"');
});

test("the search finds what is there: the ciphertexts stand in the specs", async () => {
  const { spec } = await world.get("well");
  expect(found(JSON.stringify(spec)).length).toBeGreaterThan(0);
});

/** A secret that must not be said: as it is, and as base64, hex or part of a JSON or URL text. */
function forbid(secret: string): void {
  const bytes = Buffer.from(secret);
  const encoded = [bytes.toString("base64"), bytes.toString("hex"), JSON.stringify(secret).slice(1, -1)];
  for (const form of [secret, ...encoded, encodeURIComponent(secret)]) forbidden.add(form);
}

function found(text: string): string[] {
  return [...forbidden].filter((canary) => text.includes(canary));
}

async function secretEntry(key: string, value: string) {
  const entry = await world.entry(key, value);
  forbid(entry.encryptedSecret);
  // A part of it is too much as well.
  forbidden.add(entry.encryptedSecret.slice(0, 48));
  return entry;
}

async function everythingThatGoesWell(): Promise<void> {
  const secrets = [await secretEntry("k", canaries.plaintext), await secretEntry("json", canaries.multiline)];
  await world.sync("well", { path: `${world.v2}/data/canary`, secrets });
  await world.sync("well-v1", { path: `${world.v1}/canary`, secrets });
}

async function everythingThatGoesWrong(): Promise<void> {
  const { v1, v2 } = world;
  await world.foreignV2("foreign", { k: canaries.foreign });
  await world.foreignV1("drift", { k: canaries.foreign });
  const good = await secretEntry("k", canaries.plaintext);
  const binary = {
    key: "bin",
    encryptedSecret: await world.encrypt(Buffer.from(`${canaries.plaintext}\xff`, "latin1")),
  };
  forbid(binary.encryptedSecret);
  const cases: readonly [string, string, object][] = [
    ["foreign", "AdoptionRequired", { path: `${v2}/data/foreign`, secrets: [good] }],
    ["base64", "DecodingError", { path: `${v2}/data/b64`, secrets: [{ key: "k", encryptedSecret: canaries.base64 }] }],
    ["context", "DecryptingError", { path: `${v2}/data/c`, secrets: [{ ...good, secretContext: { a: "other" } }] }],
    ["binary", "InvalidEncoding", { path: `${v2}/data/binary`, secrets: [binary] }],
    ["nowhere", "EngineUnknown", { path: `no-such-${v2}/x`, secrets: [good] }],
    ["reserved", "NotKV", { path: "sys/x", secrets: [good] }],
    ["engine", "EngineMismatch", { path: `${v1}/x`, kvSettings: { engineVersion: "v2" }, secrets: [good] }],
    ["login", "VaultLoginFailed", { path: `${v1}/login`, vaultAuthMethod: "userpass", secrets: [good] }],
    ["partial", "PartialNotFound", { path: `${v1}/partial`, includeSecrets: ["none"], secrets: [good] }],
    ["cas", "CASConflict", { path: `${v2}/data/cas`, kvSettings: { casIndex: 7 }, secrets: [good] }],
    ["drift", "Synced", { path: `${v1}/drift`, secrets: [good] }],
  ];
  for (const [name, , spec] of cases) await world.apply(name, spec);
  for (const [name, reason] of cases) await world.settled(name, reason);
  await world.kms.faults({ outage: "error" });
  await world.apply("outage", { path: `${v1}/outage`, secrets: [good] });
  await world.settled("outage", "KMSUnavailable");
  await world.kms.faults({ accessDenied: true });
  await world.apply("denied", { path: `${v1}/denied`, secrets: [good] });
  await world.settled("denied", "KMSAccessDenied");
  await world.kms.faults({});
}

async function everythingSaid(): Promise<Record<"output" | "metrics" | "events" | "objects" | "others", string>> {
  const { namespace, kube, operator } = world;
  const events = await kube.list({ apiVersion: "v1", plural: "events", namespace });
  const objects = await kube.list({ apiVersion: "k8s.patoarvizu.dev/v1alpha1", plural: "kmsvaultsecrets", namespace });
  const others = await Promise.all(
    ["secrets", "configmaps"].map((plural) => kube.list({ apiVersion: "v1", plural, namespace })),
  );
  return {
    output: operator.output(),
    metrics: await operator.metrics(),
    events: JSON.stringify(events),
    // Everything but what the user wrote: the spec.
    objects: JSON.stringify(objects.map((object) => ({ ...object, spec: undefined }))),
    others: JSON.stringify(others),
  };
}
