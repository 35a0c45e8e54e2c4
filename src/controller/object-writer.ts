// Everything that a reconcile writes to the API server, in one place: the status, the events, the finalizer's removal.
import type { Status } from "../api/kinds.ts";
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "../runtime/client.ts";
import type { EventRecorder } from "../runtime/events.ts";
import { removeFinalizer } from "../runtime/finalizer.ts";
import { isForbidden, isInvalid, isNotFound } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf, type Resource } from "../runtime/objects.ts";
import { replaceStatus } from "../runtime/status-patch.ts";
import type { Notice } from "./notices.ts";

export interface ObjectWriterOptions {
  readonly client: KubeClient;
  readonly resource: Resource;
  readonly recorder: EventRecorder;
  readonly finalizer: string;
  readonly logger: Logger;
  /** Called with whether statuses can be saved, whenever that was seen. */
  readonly onStatusForbidden: (forbidden: boolean) => void;
}

/** An object, as far as its status is looked at once it was saved. */
interface Stored extends KubeObject {
  readonly status?: Status;
}

export class ObjectWriter {
  readonly #options: ObjectWriterOptions;
  #warned = false;

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
  }

  /**
   * Saves a status, unless the object has it already.
   * @returns resourceVersion of the object with that status; undefined when it may not be saved (one warning), or not
   *   on this object
   * @throws KubeError when the API server could not be asked
   */
  async saveStatus(object: KubeObject, status: Status, signal: AbortSignal): Promise<string | undefined> {
    const { client, resource, onStatusForbidden } = this.#options;
    try {
      const saved = await replaceStatus<Stored>({ client, resource, object }, status, signal);
      onStatusForbidden(false);
      if (saved.status?.record?.mac === status.record?.mac) return saved.metadata.resourceVersion;
      this.#warnOnce("the CRD is not this version's: most of the status is lost on the way; apply deploy/crds");
      return undefined;
    } catch (error) {
      // Gone meanwhile: its deletion is the next event, and there is nothing to save.
      if (isNotFound(error)) return undefined;
      if (isInvalid(error)) {
        this.#options.logger.warn(
          { object: keyOf(object), error },
          "the API server takes no status for this object, which an older CRD let in; its events tell what is wrong",
        );
        return undefined;
      }
      if (!isForbidden(error)) throw error;
      onStatusForbidden(true);
      this.#warnOnce(
        "statuses may not be saved: users see no conditions, and each restart decrypts every object once; grant patch on kmsvaultsecrets/status",
        error,
      );
      return undefined;
    }
  }

  event(object: KubeObject, { type, reason, message }: Notice): void {
    this.#options.recorder.event({ resource: this.#options.resource, object }, type, reason, message);
  }

  /** @throws KubeError when the API server could not be asked */
  async removeFinalizer(object: KubeObject, signal: AbortSignal): Promise<void> {
    const { client, resource, finalizer } = this.#options;
    await removeFinalizer({ client, resource, object }, finalizer, signal);
  }

  #warnOnce(message: string, error?: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.logger.warn({ error }, message);
  }
}
