import { beforeEach, describe, expect, test } from "vitest";
import type { Identity, Vault, VaultAccess } from "../vault/vault.ts";
import { RulePolicy } from "../policy/rule-policy.ts";
import { type Client, Identities } from "./identities.ts";

const used: Identity[] = [];
const released: Identity[] = [];
const vault: Vault = {
  access(identity) {
    used.push(identity);
    return {} as VaultAccess;
  },
  release: (identity) => released.push(identity),
};

beforeEach(() => {
  used.length = 0;
  released.length = 0;
});

const anything = { assertMayUse: () => {} };

function identities(changes: Partial<ConstructorParameters<typeof Identities>[0]> = {}): Identities {
  return new Identities({ vault, method: "token", namespace: "own", policy: anything, ...changes });
}

function client(spec: Client["spec"], uid = "1"): Client {
  return { uid, namespace: "team", spec };
}

const account = { serviceAccountRef: { name: "app" } };
const asAccount = { namespace: "team", name: "app" };

describe("as whom an object is written", () => {
  test.each<[string, Record<string, unknown>, Identity]>([
    ["nothing said", {}, { method: "token", namespace: "own" }],
    ["a method", { vaultAuthMethod: "approle" }, { method: "approle", namespace: "own" }],
    ["a method that is none", { vaultAuthMethod: "magic" }, { method: "token", namespace: "own" }],
    ["a namespace", { vaultNamespace: "/team/a/" }, { method: "token", namespace: "team/a" }],
    ["the root namespace", { vaultNamespace: "" }, { method: "token", namespace: "" }],
    ["an account", account, { method: "k8s", namespace: "own", serviceAccount: asAccount }],
    [
      "an account with a role, by jwt",
      { ...account, vaultRole: "app", vaultAuthMethod: "jwt" },
      { method: "jwt", namespace: "own", serviceAccount: { ...asAccount, role: "app" } },
    ],
    ["nonsense for an account", { serviceAccountRef: 3 }, { method: "token", namespace: "own" }],
  ])("%s", (_, spec, expected) => {
    identities().accessFor(client(spec));
    expect(used).toEqual([expected]);
  });

  test("where jwt is the operator's own way an account logs in by it as well", () => {
    identities({ method: "jwt" }).accessFor(client(account));
    expect(used).toEqual([{ method: "jwt", namespace: "own", serviceAccount: asAccount }]);
  });
});

describe("what an object may not use", () => {
  const policy = new RulePolicy(undefined, {
    labelsOf: () => undefined,
    ownNamespace: "own",
    defaultMethod: "token",
    mayNameNamespace: false,
  });
  const place = (namespace: string) => ({ namespace, mount: "kv", path: "x", engineVersion: "v2" }) as const;

  test.each(["observe", "read", "remove", "softDelete"] as const)("is refused at the call: %s", async (call) => {
    const access = identities({ policy }).accessFor(client({}), "other");
    await expect(access[call](place("other"))).rejects.toMatchObject({ code: "PolicyDenied" });
  });

  test("is refused at the call: write, writeMetadata", async () => {
    const access = identities({ policy }).accessFor(client({}), "other");
    await expect(access.write(place("other"), new Map())).rejects.toMatchObject({ code: "PolicyDenied" });
    await expect(access.writeMetadata(place("other"), { custom: {} })).rejects.toMatchObject({ code: "PolicyDenied" });
  });

  test("what it may use is Vault's to answer", async () => {
    const observe = async () => ({ state: "absent" }) as const;
    const answering: Vault = { ...vault, access: () => ({ observe }) as unknown as VaultAccess };
    const access = identities({ policy, vault: answering }).accessFor(client({ vaultNamespace: "own" }));
    await expect(access.observe(place("own"))).resolves.toEqual({ state: "absent" });
  });
});

describe("a session is given back", () => {
  test("when the last object that uses it goes, and not before", () => {
    const all = identities();
    all.use(client(account, "1"), []);
    all.use(client(account, "2"), []);
    all.forget("1");
    expect(released).toEqual([]);
    all.forget("2");
    expect(released).toEqual([{ method: "k8s", namespace: "own", serviceAccount: asAccount }]);
  });

  test("when an object names another, but not that of a place where something of it is left", () => {
    const all = identities();
    all.use(client({ ...account, vaultRole: "one" }), []);
    all.use(client({ ...account, vaultRole: "one" }), []);
    expect(released).toEqual([]);
    all.use(client({ ...account, vaultRole: "two", vaultNamespace: "new" }), ["old"]);
    expect(released).toMatchObject([{ namespace: "own", serviceAccount: { role: "one" } }]);
    all.use(client({ ...account, vaultRole: "two", vaultNamespace: "new" }), []);
    expect(released).toMatchObject([{ namespace: "own" }, { namespace: "old", serviceAccount: { role: "two" } }]);
    all.forget("1");
    expect(released).toHaveLength(3);
  });

  test("never the operator's own", () => {
    const all = identities();
    all.use(client({}), []);
    all.forget("1");
    expect(released).toEqual([]);
  });
});
