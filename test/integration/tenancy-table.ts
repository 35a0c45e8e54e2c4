// Ways in which a tenant may try to reach another one's place in Vault, as data (tenancy-scene.ts makes them happen).
// Words in angle brackets stand for what the scene made: <a> is the tenant who tries, <b> the one whose place it is,
// <id> the row's own name, <v1> and <v2> mounts that they share.

import { keyEscapes } from "./tenancy-keys.ts";
import { pathEscapes } from "./tenancy-paths.ts";

/** What becomes of a row when there is no policy. */
export type Freely =
  /** The place of the other tenant is read, written or removed. */
  | "reaches"
  /** A value of the other tenant comes to stand in the own place. */
  | "leaks"
  /** It fails without a policy as well: what it stumbles over is tried all the same. */
  | "fails";

export interface Escape {
  readonly title: string;
  /** Whose object it is: a namespace of the scene. Default: a. */
  readonly by?: string;
  /** Its spec, whose default is one entry of its own. */
  readonly spec: { readonly path: string; readonly [field: string]: unknown };
  /** What the object says before, and gets. */
  readonly first?: { readonly path: string; readonly [field: string]: unknown };
  /** Spec of a Partial of the same name. */
  readonly partial?: object;
  readonly metadata?: object;
  /** What is written into its status before the operator starts, after which the object is deleted. */
  readonly forged?: object;
  /** API path that is aimed at, with the Vault namespace before it. Default: <v2>/data/<b>/<id>. */
  readonly victim?: string;
  /** Reasons that are right under the policy; `Refused` is the API server's no, `Gone` a deletion that ended. */
  readonly expected: readonly string[];
  readonly freely: Freely;
}

/** An object that says which engine its mount is. */
function claiming(engineVersion: "v1" | "v2", path: string): Pick<Escape, "spec"> {
  return { spec: { path, kvSettings: { engineVersion } } };
}

const v1Place = { victim: "<v1>/<b>/<id>" };
const theirs = "<v2>/data/<b>/<id>";
const own = "<v2>/data/<a>/<id>";
const inTeamB = { victim: "<teams>/<b>/kv/data/<id>" };
const denied = ["PolicyDenied"];

const engineEscapes: readonly Escape[] = [
  {
    title: "KV v1 claimed for a KV v2 mount",
    ...claiming("v1", theirs),
    expected: ["EngineMismatch", "PolicyDenied"],
    freely: "fails",
  },
  {
    title: "KV v1 claimed, to write metadata",
    ...claiming("v1", "<v2>/metadata/<b>/<id>"),
    expected: ["EngineMismatch", "PolicyDenied"],
    freely: "fails",
  },
  {
    title: "KV v2 claimed for a KV v1 mount",
    ...claiming("v2", "<v1>/data/<b>/<id>"),
    ...v1Place,
    expected: ["EngineMismatch", "PolicyDenied"],
    freely: "fails",
  },
  {
    title: "the whole path as one encoded segment, its mount believed",
    ...claiming("v2", "<v2>%2Fdata%2F<b>%2F<id>"),
    expected: ["InvalidPath", "PolicyDenied", "EngineUnknown"],
    freely: "fails",
  },
];

const namespaceEscapes: readonly Escape[] = [
  {
    title: "the other's Vault namespace",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<b>" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the same with slashes at its ends",
    spec: { path: "kv/data/<id>", vaultNamespace: "/<teams>/<b>/" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the same with a double slash",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>//<b>" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "up from the own Vault namespace",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<a>/../<b>" },
    ...inTeamB,
    expected: ["InvalidSpec", "PolicyDenied", "Refused"],
    freely: "fails",
  },
  {
    title: "up, percent-encoded",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<a>/%2e%2e/<b>" },
    ...inTeamB,
    expected: denied,
    freely: "fails",
  },
  {
    title: "the other case of the Vault namespace",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<B>" },
    ...inTeamB,
    expected: denied,
    freely: "fails",
  },
  {
    title: "a header in the Vault namespace",
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<a>\r\nX-Vault-Namespace: <teams>/<b>" },
    ...inTeamB,
    expected: ["InvalidSpec", "PolicyDenied", "Refused"],
    freely: "fails",
  },
  {
    title: "the parent, and the rest of the way in the path",
    spec: { path: "<b>/kv/data/<id>", vaultNamespace: "<teams>" },
    ...inTeamB,
    expected: denied,
    freely: "fails",
  },
  {
    title: "a Vault namespace in the path",
    spec: { path: "<teams>/<b>/kv/data/<id>" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the same where every path of the operator's own Vault namespace is allowed",
    by: "broad",
    spec: { path: "<teams>/<b>/kv/data/<id>" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the same with its mount believed",
    by: "broad",
    ...claiming("v2", "<teams>/<b>/kv/data/<id>"),
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "another Vault namespace's name below the own",
    spec: { path: "<teams>/<b>/kv/data/<id>", vaultNamespace: "<teams>/<a>" },
    ...inTeamB,
    expected: ["EngineUnknown", "PolicyDenied"],
    freely: "fails",
  },
];

const objectEscapes: readonly Escape[] = [
  {
    title: "a move from the own place",
    first: { path: own, deletionPolicy: "Destroy" },
    spec: { path: theirs, deletionPolicy: "Destroy" },
    expected: denied,
    freely: "reaches",
  },
  {
    title: "a move from the own Vault namespace",
    first: { path: "kv/data/<id>", vaultNamespace: "<teams>/<a>", deletionPolicy: "Destroy" },
    spec: { path: "kv/data/<id>", vaultNamespace: "<teams>/<b>", deletionPolicy: "Destroy" },
    ...inTeamB,
    expected: denied,
    freely: "reaches",
  },
  { title: "merging into it", spec: { path: theirs, writeMode: "Merge" }, expected: denied, freely: "reaches" },
  {
    title: "check-and-set on its version",
    spec: { path: theirs, kvSettings: { engineVersion: "v2", casIndex: 1 } },
    expected: denied,
    freely: "reaches",
  },
  {
    title: "its settings",
    spec: { path: theirs, kvMetadata: { deleteVersionAfter: "1s" } },
    expected: denied,
    freely: "reaches",
  },
  {
    title: "deletion with a forged record of it",
    spec: { path: own, deletionPolicy: "Destroy" },
    metadata: { finalizers: ["delete.k8s.patoarvizu.dev"] },
    forged: {
      created: true,
      record: {
        namespace: "",
        mount: "<v2>",
        path: "<b>/<id>",
        engineVersion: "v2",
        version: 1,
        format: "v1",
        mac: "AA",
      },
    },
    expected: ["Gone"],
    freely: "fails",
  },
  {
    title: "deletion, dressed up as one of the Go operator's",
    spec: { path: theirs },
    metadata: { finalizers: ["delete.k8s.patoarvizu.dev"] },
    forged: { created: true },
    expected: denied,
    freely: "reaches",
  },
  {
    title: "deletion, dressed up so, KV v1",
    spec: { path: "<v1>/<b>/<id>", kvSettings: { engineVersion: "v1" } },
    metadata: { finalizers: ["delete.k8s.patoarvizu.dev"] },
    forged: { created: true },
    ...v1Place,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "a Partial of the other's namespace, by namespace and name",
    spec: { path: own, secrets: [], includeSecrets: ["<b>/partial"] },
    expected: ["PartialNotFound"],
    freely: "fails",
  },
  {
    title: "a Partial of the other's namespace, upwards",
    spec: { path: own, secrets: [], includeSecrets: ["../<b>/partial"] },
    expected: ["PartialNotFound"],
    freely: "fails",
  },
];

/** Namespaces that the templates of a rule are fed with, and who no rule is for. */
const templateEscapes: readonly Escape[] = [
  {
    title: "a namespace without the label that the pattern asks for",
    by: "bare",
    spec: { path: "<v2>/data/by-label/<label>/<id>" },
    victim: "<v2>/data/by-label/<label>/<id>",
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the segment of a missing label left out",
    by: "bare",
    spec: { path: "<v2>/data/by-label//<id>" },
    victim: "<v2>/data/by-label/<id>",
    expected: denied,
    freely: "reaches",
  },
  {
    title: "the segment of an empty label left out",
    by: "empty",
    spec: { path: "<v2>/data/by-label//<id>" },
    victim: "<v2>/data/by-label/<id>",
    expected: denied,
    freely: "reaches",
  },
  {
    title: "a dot in a label as any character",
    by: "dotted",
    spec: { path: "<v2>/data/by-label/<label-x>/<id>" },
    victim: "<v2>/data/by-label/<label-x>/<id>",
    expected: denied,
    freely: "reaches",
  },
  {
    title: "from a namespace whose name begins like the other's",
    by: "ab",
    spec: { path: own },
    victim: own,
    expected: denied,
    freely: "reaches",
  },
  {
    title: "from a namespace that no rule is for",
    by: "outsider",
    spec: { path: "<v2>/data/<outsider>/<id>" },
    victim: "<v2>/data/<outsider>/<id>",
    expected: denied,
    freely: "reaches",
  },
];

/** Every way, in the order of the report. */
export const escapes: readonly Escape[] = [
  ...pathEscapes,
  ...engineEscapes,
  ...namespaceEscapes,
  ...objectEscapes,
  ...templateEscapes,
  ...keyEscapes,
];
