// One object as a reconcile sees it.
import type { Meta, Status } from "../api/kinds.ts";
import type { KubeObject } from "../runtime/objects.ts";

/** An object, as far as it could be read, and the status to go on from. */
export interface Subject {
  /** As the API server had it. */
  readonly object: KubeObject;
  readonly metadata: Meta;
  readonly status: Status | undefined;
  /** Whether this process has looked at it before. */
  readonly isSeen: boolean;
}
