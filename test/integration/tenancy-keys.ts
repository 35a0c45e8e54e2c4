// Ways to another tenant's values and places that go by its keys, its ciphertexts, its roles or its service accounts; what
// the words in angle brackets stand for: tenancy-table.ts.
import type { Escape } from "./tenancy-table.ts";

const theirs = "<v2>/data/<b>/<id>";
const own = "<v2>/data/<a>/<id>";
const denied = ["PolicyDenied"];

/** By keys, values and logins. */
export const keyEscapes: readonly Escape[] = [
  {
    title: "the other's key, by its ARN",
    spec: { path: own, kmsKeyId: "<keyB>", secrets: [{ key: "k", encryptedSecret: "<stolen>" }] },
    expected: ["PolicyDenied", "KeyNotAllowed"],
    freely: "leaks",
  },
  {
    title: "a value under the other's key, which is not named",
    spec: { path: own, secrets: [{ key: "k", encryptedSecret: "<stolen>" }] },
    expected: ["KeyNotAllowed"],
    freely: "leaks",
  },
  {
    title: "the same in a Partial",
    spec: { path: own, secrets: [], includeSecrets: ["<id>"] },
    partial: { secrets: [{ key: "k", encryptedSecret: "<stolen>" }] },
    expected: ["KeyNotAllowed"],
    freely: "leaks",
  },
  {
    title: "the other's role in AWS",
    spec: { path: own, kmsRoleArn: "arn:aws:iam::111122223333:role/<b>" },
    expected: denied,
    freely: "fails",
  },
  {
    title: "a value of the other's, unbound, where binding is required",
    by: "bound",
    spec: { path: "<v2>/data/<bound>/<id>", secrets: [{ key: "k", encryptedSecret: "<stolen>" }] },
    expected: denied,
    freely: "leaks",
  },
  {
    title: "a value that is bound to the other's namespace",
    by: "bound",
    spec: {
      path: "<v2>/data/<bound>/<id>",
      bindContext: "Namespace",
      secrets: [{ key: "k", encryptedSecret: "<boundToB>" }],
    },
    expected: ["DecryptingError"],
    freely: "fails",
  },
  {
    title: "the same with the other's namespace in its context",
    by: "bound",
    spec: {
      path: "<v2>/data/<bound>/<id>",
      bindContext: "Namespace",
      secrets: [
        {
          key: "k",
          encryptedSecret: "<boundToB>",
          secretContext: { "k8s.patoarvizu.dev/namespace": "<b>" },
        },
      ],
    },
    expected: ["ReservedContextKey"],
    freely: "fails",
  },
  {
    title: "the same in a Partial, whose context says so",
    by: "bound",
    spec: { path: "<v2>/data/<bound>/<id>", bindContext: "Namespace", secrets: [], includeSecrets: ["<id>"] },
    partial: {
      secretContext: { "k8s.patoarvizu.dev/namespace": "<b>" },
      secrets: [{ key: "k", encryptedSecret: "<boundToB>" }],
    },
    expected: ["ReservedContextKey"],
    freely: "fails",
  },
  {
    title: "the other's role in Vault",
    spec: { path: theirs, serviceAccountRef: { name: "app" }, vaultRole: "<b>-app" },
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the other's role in Vault, for the own place",
    spec: { path: own, serviceAccountRef: { name: "app" }, vaultRole: "<b>-app" },
    expected: denied,
    freely: "fails",
  },
  {
    title: "a service account of the other's namespace",
    spec: { path: theirs, serviceAccountRef: { name: "../<b>/app" }, vaultRole: "<a>-app" },
    expected: ["PolicyDenied", "VaultLoginFailed", "InvalidSpec"],
    freely: "fails",
  },
  {
    title: "a service account that is not meant for Vault",
    spec: { path: own, serviceAccountRef: { name: "default" }, vaultRole: "<a>-app" },
    expected: ["PolicyDenied", "VaultLoginFailed"],
    freely: "fails",
  },
  {
    title: "another way to log in",
    spec: { path: own, vaultAuthMethod: "userpass" },
    expected: denied,
    freely: "fails",
  },
  {
    title: "the operator's own login where the object's is required",
    by: "owned",
    spec: { path: "<v2>/data/<owned>/<id>" },
    victim: "<v2>/data/<owned>/<id>",
    expected: denied,
    freely: "reaches",
  },
];
