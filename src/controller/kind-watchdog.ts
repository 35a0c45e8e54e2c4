// Somebody who deletes the CustomResourceDefinition (a helm upgrade to a chart without it is enough) deletes every
// object, each with its finalizer. That is no order to delete every secret, so it is looked at before any is removed.
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "../runtime/client.ts";
import { isForbidden, isNotFound } from "../runtime/kube-error.ts";
import type { KubeObject, Resource } from "../runtime/objects.ts";

const definitions: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
};

export interface KindWatchdogOptions {
  readonly client: Pick<KubeClient, "get">;
  /** The kind whose objects are removed. */
  readonly resource: Resource;
  readonly logger: Logger;
}

/** Tells whether a kind is being deleted. */
export class KindWatchdog {
  readonly #options: KindWatchdogOptions;
  #warned = false;

  constructor(options: KindWatchdogOptions) {
    this.#options = options;
  }

  /**
   * @returns false, with one warning, where the definition may not be read
   * @throws KubeError when the API server could not be asked
   */
  async isGoing(signal: AbortSignal): Promise<boolean> {
    const { client, resource, logger } = this.#options;
    const name = `${resource.plural}.${resource.group}`;
    try {
      const { metadata } = await client.get<KubeObject>(definitions, { name }, { signal });
      return metadata.deletionTimestamp !== undefined;
    } catch (error) {
      if (isNotFound(error)) return true;
      if (!isForbidden(error)) throw error;
      if (!this.#warned) {
        this.#warned = true;
        logger.warn({ name, error }, "the CRD may not be read: if it is deleted, so are the secrets; grant get on it");
      }
      return false;
    }
  }
}
