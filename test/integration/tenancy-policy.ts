// The policy under which the ways of tenancy-table.ts are tried: one rule by which each of several tenants has places of
// its own on mounts that all share, and one for each namespace that is there for something special.
import { stringify } from "yaml";
import type { TenancyScene } from "./tenancy-scene.ts";

/** @returns YAML */
export function policyOf({ words }: TenancyScene): string {
  const { a, ab, b, bare, empty, dotted, broad, bound, owned, v1, v2, nest, deep, teams, keyA } = words;
  const shared = [`${v1}/{{namespace}}/**`, `${v2}/{{namespace}}/**`];
  return stringify({
    rules: [
      {
        name: "everything of the operator's own Vault namespace",
        namespaces: { names: [broad] },
        vaultPaths: ["**"],
        vaultNamespaces: [""],
      },
      {
        name: "bound values",
        namespaces: { names: [bound] },
        vaultPaths: shared,
        require: { bindContext: "Namespace" },
      },
      {
        name: "own logins",
        namespaces: { names: [owned] },
        vaultPaths: shared,
        require: { serviceAccountRef: true },
      },
      {
        name: "tenants",
        namespaces: { names: [a, ab, b, bare, empty, dotted] },
        vaultPaths: [
          ...shared,
          `${nest}/{{namespace}}/**`,
          `${deep}/data/{{namespace}}/**`,
          `${v2}/by-label/{{label:tenant}}/*`,
          `${v2}/caf\u00E9/*`,
          "kv/**",
        ],
        vaultNamespaces: ["", `${teams}/{{namespace}}`],
        authMethods: ["token", "k8s"],
        vaultRoles: ["{{namespace}}-*"],
        kmsKeys: [keyA],
        kmsRoleArns: ["arn:aws:iam::111122223333:role/{{namespace}}"],
      },
    ],
  });
}
