// Everything that a reconcile writes to the API server, in one place: the status, the events, the finalizer's removal.
import type { Status, SyncRecord } from "../api/kinds.ts";
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "../runtime/client.ts";
import type { EventRecorder } from "../runtime/events.ts";
import { editMetadata, type MetadataEdit, removeFinalizer } from "../runtime/finalizer.ts";
import { isForbidden, isInvalid, isNotFound } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf, type Resource } from "../runtime/objects.ts";
import type { JsonPatchOperation } from "../runtime/patch.ts";
import { replaceStatus } from "../runtime/status-patch.ts";
import type { Notice } from "./notices.ts";
import { specOf } from "./raw-spec.ts";

export interface ObjectWriterOptions {
  readonly client: KubeClient;
  readonly resource: Resource;
  readonly recorder: EventRecorder;
  /** Whether an object may become another replica's while it is worked on. */
  readonly isDivided: boolean;
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
    const { client, resource, onStatusForbidden, isDivided } = this.#options;
    try {
      const tests = this.#testsFor(object);
      const saved = await replaceStatus<Stored>({ client, resource, object }, status, { tests, signal });
      onStatusForbidden(false);
      if (saved.status?.record?.mac === status.record?.mac) return saved.metadata.resourceVersion;
      this.#warnOnce("the CRD is not this version's: most of the status is lost on the way; apply deploy/crds");
      return undefined;
    } catch (error) {
      // Gone meanwhile: its deletion is the next event, and there is nothing to save.
      if (isNotFound(error)) return undefined;
      if (isInvalid(error) && isDivided && (await this.#hasMoved(object, signal))) return undefined;
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

  /**
   * Puts another record in the place of an object's, once what it named has been removed for good; none, if undefined.
   * @throws KubeError when the API server could not be asked
   */
  async replaceRecord(object: Stored, record: SyncRecord | undefined, signal: AbortSignal): Promise<void> {
    const { client, resource } = this.#options;
    const { namespace, name, uid } = object.metadata;
    const mac = object.status?.record?.mac;
    const operations: JsonPatchOperation[] = [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "test", path: "/status/record/mac", value: mac },
      record === undefined
        ? { op: "remove", path: "/status/record" }
        : { op: "replace", path: "/status/record", value: record },
    ];
    try {
      await client.patch(
        resource,
        { namespace, name, subresource: "status" },
        { type: "json", operations },
        { signal },
      );
    } catch (error) {
      // Another record, or none, stands there by now, or the object is gone: the watch brings what there is to do.
      if (!isInvalid(error) && !isNotFound(error)) throw error;
    }
  }

  /**
   * Whether the API server has the object as it is given here.
   * @throws KubeError when the API server could not be asked
   */
  async isLatest(
    { metadata: { namespace, name, resourceVersion } }: KubeObject,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, resource } = this.#options;
    try {
      const { metadata } = await client.get<KubeObject>(resource, { namespace, name }, { signal });
      return metadata.resourceVersion === resourceVersion;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  event(object: KubeObject, { type, reason, message }: Notice): void {
    this.#options.recorder.event({ resource: this.#options.resource, object }, type, reason, message);
  }

  /**
   * See runtime/finalizer.ts.
   * @throws KubeError when the API server could not be asked, or the object is gone or being deleted
   */
  async editMetadata(
    object: KubeObject,
    edit: (metadata: KubeObject["metadata"]) => MetadataEdit | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, resource } = this.#options;
    await editMetadata({ client, resource, object }, edit, signal);
  }

  /** @throws KubeError when the API server could not be asked */
  async removeFinalizer(object: KubeObject, finalizer: string, signal: AbortSignal): Promise<void> {
    const { client, resource } = this.#options;
    await removeFinalizer({ client, resource, object }, finalizer, signal);
  }

  /** Whoever has the object now, because it names another place, has the word about its status. */
  #testsFor(object: KubeObject): readonly JsonPatchOperation[] {
    return this.#options.isDivided ? [{ op: "test", path: "/spec/path", value: specOf(object)?.["path"] }] : [];
  }

  async #hasMoved(object: KubeObject, signal: AbortSignal): Promise<boolean> {
    const { client, resource } = this.#options;
    const { namespace, name } = object.metadata;
    const current = await client.get<KubeObject>(resource, { namespace, name }, { signal });
    return specOf(current)?.["path"] !== specOf(object)?.["path"];
  }

  #warnOnce(message: string, error?: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.logger.warn({ error }, message);
  }
}
