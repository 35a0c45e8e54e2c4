// With `writeMode: Merge`: which keys of a secret are an object's. Those it wrote are its to change and to remove; those
// that it found with the very value are its to change, but stay when it leaves; what an object of this cluster left behind
// untouched is its heir's; what another living object names as well is no longer anybody's to remove.
import type { PlainMap } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import { isNamed } from "./claims.ts";
import { seenMetadata } from "./observe.ts";
import { standing } from "./ownership.ts";
import { type Pass, picked } from "./pass.ts";
import type { PlanInput } from "./plan.ts";
import type { Place } from "./record.ts";

/** The keys that a plan may overwrite, and those that it may take away. Whoever replaces the whole needs to know none. */
export function mergeKeys(pass: Pass, observed: Observed): Pick<PlanInput, "ownKeys" | "writtenKeys"> {
  if (pass.mode === "Replace") return { ownKeys: new Set(), writtenKeys: new Set() };
  const { adopted = [] } = pass.note ?? {};
  const data = dataOf(observed);
  const keys = recordedKeys(pass, data);
  return {
    ownKeys: new Set([...keys, ...(data === undefined ? [] : leftKeys(pass, data))]),
    writtenKeys: new Set(keys.filter((key) => !adopted.includes(key) && !isNamed(key, pass.others))),
  };
}

/**
 * The keys to record of what stands in Vault now.
 * @param observed what stood there before
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
  const before = dataOf(observed);
  const kept = recordedKeys(pass, before).filter((key) => !isNamed(key, pass.others));
  // What stood there before is others', what did not has been carried over from where the object was.
  const added = [...data.keys()].filter((key) => before?.has(key) !== true);
  const keys = [...picked(data, [...kept, ...values.keys(), ...added]).keys()].toSorted();
  const adopted = new Set([...(pass.note?.adopted ?? []), ...foundKeys(pass, observed, values)]);
  for (const key of written) adopted.delete(key);
  return { keys, adopted: keys.filter((key) => adopted.has(key)) };
}

/** Keys that stood there already, and that nothing shows to be of our writing. */
function foundKeys(pass: Pass, observed: Observed, values: PlainMap): readonly string[] {
  const { note, self, mode } = pass;
  const data = dataOf(observed);
  if (data === undefined) return [];
  // Without a record, a mark tells that a process ended between writing and recording.
  const isUnrecorded = note === undefined && standing(seenMetadata(observed)?.custom ?? {}, self, mode) === "ours";
  if (isUnrecorded) return [];
  const { ownKeys } = mergeKeys(pass, observed);
  return [...values.keys()].filter((key) => data.has(key) && !ownKeys.has(key));
}

/** The object's keys by its record: all that stands there, where it had the secret to itself and nobody has touched it. */
function recordedKeys(pass: Pass, data: PlainMap | undefined): readonly string[] {
  const { note } = pass;
  if (note?.keys !== undefined) return note.keys;
  const wroteAll = data !== undefined && note?.fingerprint !== undefined && pass.fingerprint(data) === note.fingerprint;
  return wroteAll ? [...data.keys()] : [];
}

/** Keys that other objects of this cluster have merged into the secret, as far as they are as those left them. */
function leftKeys({ destination, self, tools }: Pass, data: PlainMap): readonly string[] {
  return tools.own.mergedInto(destination).flatMap(({ uid, keys, fingerprint }) => {
    const isIntact = tools.records.fingerprint(picked(data, keys), destination, uid) === fingerprint;
    return uid !== self.uid && isIntact ? keys : [];
  });
}

function dataOf(observed: Observed): PlainMap | undefined {
  return observed.state === "present" ? observed.data : undefined;
}
