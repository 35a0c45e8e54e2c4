// Finalizers, put on and taken off by JSON Patch.
// Guarantees: no finalizer of someone else's is ever removed or lost, whatever is written at the same time; both calls
// are idempotent; an object that is gone, or that another one of its name has replaced, counts as released.
// Assumption: `removeFinalizer` is called only after the cleanup is confirmed. A failure of it leaves the finalizer.
import { isConflict, isInvalid, isNotFound } from "./kube-error.ts";
import type { KubeObject } from "./objects.ts";
import type { JsonPatchOperation } from "./patch.ts";
import type { Target } from "./status-patch.ts";

/** Attempts against concurrent writers before the caller's own backoff takes over. */
const attempts = 5;

/** Finalizers and annotations of an object, as they shall be. */
export interface MetadataEdit {
  readonly finalizers: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Changes finalizers and annotations in one step: nobody sees the one without the other.
 * @param edit from what the object has to what it shall have; undefined: nothing is to be changed. Asked again when
 *   someone else wrote first
 * @returns the object with it
 * @throws KubeError: 404 when the object is gone, 422 when it is being deleted (no finalizer can be added any more)
 */
export function editMetadata<T extends KubeObject>(
  target: Target<T>,
  edit: (metadata: T["metadata"]) => MetadataEdit | undefined,
  signal?: AbortSignal,
): Promise<T> {
  return patchUntilDone(target, signal, ({ metadata }) => {
    const wanted = edit(metadata);
    if (wanted === undefined) return undefined;
    return [
      { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion },
      { op: "add", path: "/metadata/finalizers", value: wanted.finalizers },
      { op: "add", path: "/metadata/annotations", value: wanted.annotations },
    ];
  });
}

/**
 * Removes a finalizer.
 * @returns the object without it, or undefined when the object is gone
 * @throws KubeError
 */
export async function removeFinalizer<T extends KubeObject>(
  target: Target<T>,
  finalizer: string,
  signal?: AbortSignal,
): Promise<T | undefined> {
  try {
    const { uid } = target.object.metadata;
    const left = await patchUntilDone(target, signal, ({ metadata }) => {
      const index = metadata.finalizers?.indexOf(finalizer) ?? -1;
      if (index < 0 || metadata.uid !== uid) return undefined;
      const path = `/metadata/finalizers/${index}`;
      return [
        { op: "test", path, value: finalizer },
        { op: "remove", path },
      ];
    });
    return left.metadata.uid === uid ? left : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Applies what `operationsFor` says of the object, reading it again when someone else wrote first. */
async function patchUntilDone<T extends KubeObject>(
  { client, resource, object }: Target<T>,
  signal: AbortSignal | undefined,
  operationsFor: (object: T) => JsonPatchOperation[] | undefined,
): Promise<T> {
  const { name, namespace, uid } = object.metadata;
  const options = { ...(signal && { signal }) };
  let current = object;
  for (let attempt = 1; ; attempt += 1) {
    const change = operationsFor(current);
    if (change === undefined) return current;
    const operations: JsonPatchOperation[] = [{ op: "test", path: "/metadata/uid", value: uid }, ...change];
    try {
      return await client.patch<T>(resource, { namespace, name }, { type: "json", operations }, options);
    } catch (error) {
      // A failed `test` is 422, as a failed validation is; which of them it was shows when it is tried afresh.
      if (attempt >= attempts || !(isConflict(error) || isInvalid(error))) throw error;
      current = await client.get<T>(resource, { namespace, name }, options);
    }
  }
}
