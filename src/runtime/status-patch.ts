// Writes an object's status, and only when it would change: a JSON Patch of the subresource, which cannot touch the spec
// and which does not conflict with edits of it.
import { isDeepStrictEqual } from "node:util";
import type { KubeClient } from "./client.ts";
import type { KubeObject, Resource } from "./objects.ts";
import type { JsonPatchOperation } from "./patch.ts";

/** An object on the server, and the door to it. */
export interface Target<T extends KubeObject> {
  readonly client: Pick<KubeClient, "get" | "patch">;
  readonly resource: Resource;
  /** As last seen. */
  readonly object: T;
}

/** How a status is written. */
export interface StatusOptions {
  /** What must hold of the object besides its uid; the call fails with 422 otherwise. */
  readonly tests?: readonly JsonPatchOperation[];
  readonly signal?: AbortSignal;
}

/**
 * Replaces `status` as a whole.
 * @returns the object as patched; the given one when its status is equal already (then nothing is sent)
 * @throws KubeError: 404 when the object is gone, 422 when another one has its name now, 403 without the right to
 */
export async function replaceStatus<T extends KubeObject & { readonly status?: unknown }>(
  { client, resource, object }: Target<T>,
  status: object,
  { tests = [], signal }: StatusOptions = {},
): Promise<T> {
  const { name, namespace, uid } = object.metadata;
  // As it will be stored: without what is undefined.
  const wanted: unknown = JSON.parse(JSON.stringify(status));
  if (isDeepStrictEqual(object.status, wanted)) return object;
  return client.patch<T>(
    resource,
    { namespace, name, subresource: "status" },
    {
      type: "json",
      operations: [
        { op: "test", path: "/metadata/uid", value: uid },
        ...tests,
        // `add` replaces what is there, and does not mind when nothing is.
        { op: "add", path: "/status", value: wanted },
      ],
    },
    { ...(signal && { signal }) },
  );
}
