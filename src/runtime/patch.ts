// The three kinds of PATCH that are used, as values.

/** One operation of a JSON Patch (RFC 6902). */
export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/** `json` is atomic and can `test`; `merge` sets fields; `apply` is server-side apply. */
export type Patch =
  | { readonly type: "json"; readonly operations: readonly JsonPatchOperation[] }
  | { readonly type: "merge"; readonly body: object }
  | { readonly type: "apply"; readonly body: object; readonly fieldManager: string; readonly force?: boolean };

/** A patch as it goes over the wire. */
export interface WirePatch {
  readonly contentType: string;
  readonly body: unknown;
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** Content type, body and query of a patch. */
export function wirePatch(patch: Patch): WirePatch {
  if (patch.type === "json") {
    return { contentType: "application/json-patch+json", body: patch.operations, query: {} };
  }
  if (patch.type === "merge") return { contentType: "application/merge-patch+json", body: patch.body, query: {} };
  // JSON is YAML, and API servers before 1.32 know only the YAML name of this content type.
  return {
    contentType: "application/apply-patch+yaml",
    body: patch.body,
    query: { fieldManager: patch.fieldManager, force: patch.force ? "true" : undefined },
  };
}
