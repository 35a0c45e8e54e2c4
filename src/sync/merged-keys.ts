// With `writeMode: Merge`: which keys of a secret are an object's. Those it wrote are its to change and to remove; those
// that it found with the very value are its to change, but stay when it leaves; what an object of this cluster left behind
// untouched is its heir's.
import type { PlainMap } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import { seenMetadata } from "./observe.ts";
import { standing } from "./ownership.ts";
import { type Pass, picked } from "./pass.ts";
import type { PlanInput } from "./plan.ts";
import type { Place } from "./record.ts";

/** The keys that a plan may overwrite, and those that it may take away. */
export function mergeKeys(pass: Pass, observed: Observed): Pick<PlanInput, "ownKeys" | "writtenKeys"> {
  const { keys = [], adopted = [] } = pass.note ?? {};
  const data = observed.state === "present" ? observed.data : undefined;
  return {
    ownKeys: new Set([...keys, ...(data === undefined ? [] : leftKeys(pass, data))]),
    writtenKeys: new Set(keys.filter((key) => !adopted.includes(key))),
  };
}

/**
 * The keys to record of what stands in Vault now.
 * @param written names of the keys that were changed just now
 */
export function keysAfter(
  pass: Pass,
  observed: Observed,
  {
    data,
    values,
    written,
  }: { readonly data: PlainMap; readonly values: PlainMap; readonly written: readonly string[] },
): Pick<Place, "keys" | "adopted"> {
  const { note } = pass;
  const keys = [...picked(data, [...(note?.keys ?? []), ...values.keys()]).keys()].toSorted();
  const adopted = new Set([...(note?.adopted ?? []), ...foundKeys(pass, observed, values)]);
  for (const key of written) adopted.delete(key);
  return { keys, adopted: keys.filter((key) => adopted.has(key)) };
}

/** Keys that stood there already, and that neither a record nor the mark shows to be of our writing. */
function foundKeys(pass: Pass, observed: Observed, values: PlainMap): readonly string[] {
  const { note, self, mode } = pass;
  if (observed.state !== "present" || observed.data === undefined) return [];
  const wroteAll = note?.fingerprint !== undefined && note.keys === undefined;
  if (wroteAll || standing(seenMetadata(observed)?.custom ?? {}, self, mode) === "ours") return [];
  const { ownKeys } = mergeKeys(pass, observed);
  const { data } = observed;
  return [...values.keys()].filter((key) => data.has(key) && !ownKeys.has(key));
}

/** Keys that other objects of this cluster have merged into the secret, as far as they are as those left them. */
function leftKeys({ destination, self, tools }: Pass, data: PlainMap): readonly string[] {
  return tools.own.mergedInto(destination).flatMap(({ uid, keys, fingerprint }) => {
    const isIntact = tools.records.fingerprint(picked(data, keys), destination, uid) === fingerprint;
    return uid !== self.uid && isIntact ? keys : [];
  });
}
