// One spec that keeps and one that breaks each rule between fields (src/api/rules.ts), for those who check the rules.
import { specRules } from "../../src/api/rules.ts";

/** Both are merged into a spec that is right. */
export interface RuleExample {
  /** Field of the rule. */
  readonly field: string;
  readonly accepted: object;
  readonly refused: object;
}

const account = { serviceAccountRef: { name: "app" } };
const role = "arn:aws:iam::111122223333:role/app";

const examples: readonly RuleExample[] = [
  { field: "vaultRole", accepted: { vaultRole: "app", ...account }, refused: { vaultRole: "app" } },
  {
    field: "vaultAuthMethod",
    accepted: { vaultAuthMethod: "jwt", ...account },
    refused: { vaultAuthMethod: "token", ...account },
  },
  { field: "vaultNamespace", accepted: { vaultNamespace: "/team/a/" }, refused: { vaultNamespace: "team/../a" } },
  { field: "vaultNamespace", accepted: { vaultNamespace: "a..b" }, refused: { vaultNamespace: "team a" } },
  {
    field: "kvSettings.casIndex",
    accepted: { kvSettings: { casIndex: 1 }, writeMode: "Replace" },
    refused: { kvSettings: { casIndex: 1 }, writeMode: "Merge" },
  },
  { field: "syncPeriod", accepted: { syncPeriod: "0" }, refused: { syncPeriod: "999ms" } },
  { field: "syncPeriod", accepted: { syncPeriod: "8760h" }, refused: { syncPeriod: "8760h1s" } },
  { field: "syncPeriod", accepted: { syncPeriod: "1.5s" }, refused: { syncPeriod: "99999999h" } },
  {
    field: "kvMetadata.deleteVersionAfter",
    accepted: { kvMetadata: { deleteVersionAfter: "1ms" } },
    refused: { kvMetadata: { deleteVersionAfter: "8761h" } },
  },
  {
    field: "kmsRoleArn",
    accepted: { kmsRoleArn: role, provider: "AWS" },
    refused: { kmsRoleArn: role, provider: "VaultTransit" },
  },
  {
    field: "bindContext",
    accepted: { bindContext: "Key", provider: "VaultTransit" },
    refused: { bindContext: "Namespace", provider: "Age" },
  },
];

/** @throws Error when a rule has no example, or an example no rule */
export function ruleExamples(): readonly RuleExample[] {
  const fields = (list: readonly { readonly field: string }[]) => [...new Set(list.map(({ field }) => field))].join();
  if (fields(examples) !== fields(specRules)) throw new Error("every rule needs an example, in the order of the rules");
  return examples;
}
