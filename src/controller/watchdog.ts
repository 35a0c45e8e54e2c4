// Whether something that objects live in is being deleted. Somebody who deletes the CustomResourceDefinition (a helm
// upgrade to a chart without it is enough) deletes every object, each with its finalizer: that is no order to delete
// every secret. And in a namespace that is being deleted no service account can log in any more.
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

const namespaces: Resource = { group: "", version: "v1", plural: "namespaces", kind: "Namespace" };

export interface WatchdogOptions {
  readonly client: Pick<KubeClient, "get">;
  /** The kind whose objects are removed. */
  readonly resource: Resource;
  readonly logger: Logger;
}

/** Tells whether a kind, or a namespace, is being deleted. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** By plural: what may not be read has been told. */
  readonly #warned = new Set<string>();

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /**
   * @returns false, with one warning, where the definition may not be read
   * @throws KubeError when the API server could not be asked
   */
  isKindGoing(signal: AbortSignal): Promise<boolean> {
    const { plural, group } = this.#options.resource;
    return this.#isGoing(definitions, `${plural}.${group}`, signal);
  }

  /**
   * @returns false, with one warning, where the namespace may not be read
   * @throws KubeError when the API server could not be asked
   */
  isNamespaceGoing(name: string, signal: AbortSignal): Promise<boolean> {
    return this.#isGoing(namespaces, name, signal);
  }

  async #isGoing(resource: Resource, name: string, signal: AbortSignal): Promise<boolean> {
    const { client, logger } = this.#options;
    try {
      const { metadata } = await client.get<KubeObject>(resource, { name }, { signal });
      return metadata.deletionTimestamp !== undefined;
    } catch (error) {
      if (isNotFound(error)) return true;
      if (!isForbidden(error)) throw error;
      if (this.#warned.has(resource.plural)) return false;
      this.#warned.add(resource.plural);
      logger.warn(
        { resource: resource.plural, name, error },
        "may not be read, so that its deletion goes unnoticed: of the CRD, every secret would be removed with it; grant get on it",
      );
      return false;
    }
  }
}
