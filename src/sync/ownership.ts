// The mark: whose a KV v2 secret is, in its custom_metadata, for everyone outside this cluster to see. Pure. Inside the
// cluster the index of living objects decides (claims.ts), and what of a mark of ours is out of date is put right.
// The user's own keys of custom_metadata are never touched.
import type { MetadataChange } from "../vault/kv/engine.ts";

/** An object, as a mark names it. */
export interface Self {
  readonly uid: string;
  /** `namespace/name` */
  readonly owner: string;
  /** RecordKeeper.clusterId */
  readonly cluster: string;
}

export type WriteMode = "Replace" | "Merge";

/** Whose a secret is by its mark: `neighbours` is another object of this cluster, `foreign` one of another cluster. */
export type Standing = "ours" | "neighbours" | "foreign" | "unmarked";

type Custom = Readonly<Record<string, string>>;

const manager = "kms-vault-operator";
/** Keys of the mark of an object that has the secret to itself. */
const keys = { manager: "managed-by", owner: "owner", uid: "uid", cluster: "cluster" } as const;

/** What a secret's mark says of it, seen by an object of either mode. */
export function standing(custom: Custom, self: Self, mode: WriteMode): Standing {
  const isWhole = custom[keys.manager] === manager;
  if (isWhole && custom[keys.cluster] !== self.cluster) return "foreign";
  if (mode === "Merge" && custom[mergeKey(self)] === self.owner) return "ours";
  if (!isWhole) return "unmarked";
  return mode === "Replace" && custom[keys.uid] === self.uid ? "ours" : "neighbours";
}

/** What has to change for the mark to be this object's; empty when nothing has. */
export function markChange(custom: Custom, self: Self, mode: WriteMode): MetadataChange["custom"] {
  // A mark without a cluster would tell an outsider nothing, and an empty value is none to Vault.
  if (self.cluster === "") return {};
  const wanted: Record<string, string | null> = {
    ...(mode === "Replace" ? wholeMark(self) : noWholeMark(custom)),
    [mergeKey(self)]: mode === "Merge" ? self.owner : null,
  };
  return Object.fromEntries(Object.entries(wanted).filter(([key, value]) => (custom[key] ?? null) !== value));
}

/** What has to change for an object that leaves a secret to others. */
export function unmarkChange(custom: Custom, self: Self): MetadataChange["custom"] {
  return mergeKey(self) in custom ? { [mergeKey(self)]: null } : {};
}

function wholeMark({ uid, owner, cluster }: Self): Record<string, string> {
  return { [keys.manager]: manager, [keys.owner]: owner, [keys.uid]: uid, [keys.cluster]: cluster };
}

/** Of an object that had the secret to itself, in this cluster, and has it no more. */
function noWholeMark(custom: Custom): Record<string, null> {
  if (custom[keys.manager] !== manager) return {};
  return Object.fromEntries(Object.values(keys).map((key) => [key, null]));
}

function mergeKey({ uid }: Self): string {
  return `merge-${uid.slice(0, 8)}`;
}
