// One object as a reconcile sees it.
import type { Meta, Status } from "../api/kinds.ts";
import type { KubeObject } from "../runtime/objects.ts";
import type { Note } from "../sync/record.ts";

/** An object, as far as it could be read, and the status to go on from. */
export interface Subject {
  /** As the API server had it. */
  readonly object: KubeObject;
  readonly metadata: Meta;
  readonly status: Status | undefined;
  /** What the record in that status says, if it is authentic. */
  readonly note: Note | undefined;
  /** Whether this process has looked at it before. */
  readonly isSeen: boolean;
}
