// The tests' own Kubernetes client, as system:masters: a few verbs on any resource by its manifest or its path.
import type { JsonResponse } from "./http.ts";
import { HttpError, JsonClient } from "./http.ts";
import type { KubernetesInfo } from "./kubernetes.ts";

/** A Kubernetes object as far as a test helper looks at it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** Names an object, or a collection when `name` is left out. */
export interface ObjectPath {
  /** `v1`, `apps/v1` */
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  /** `status`, `token` */
  readonly subresource?: string;
}

type Answer = JsonResponse["body"];

/** As whom, and whether over what others have set. */
export interface ApplyOptions {
  readonly fieldManager?: string;
  readonly force?: boolean;
}

/** Every method throws HttpError when the API server refuses. */
export class KubeClient {
  readonly #client: JsonClient;

  constructor(info: KubernetesInfo) {
    this.#client = new JsonClient(info.server, { caPem: info.caPem, ...info.admin });
  }

  get(path: ObjectPath): Promise<Answer> {
    return this.#client.send({ method: "GET", path: urlOf(path) });
  }

  /** The object, or undefined when there is none. */
  async find(path: ObjectPath): Promise<Answer> {
    const asked = { method: "GET", path: urlOf(path) };
    const answer = await this.#client.ask(asked);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new HttpError(asked, answer);
    return answer.body;
  }

  /** The items of a collection. */
  async list(path: ObjectPath): Promise<Answer[]> {
    return (await this.get(path)).items;
  }

  create(manifest: Manifest): Promise<Answer> {
    const { name: _, ...collection } = pathOf(manifest);
    return this.#client.send({ method: "POST", path: urlOf(collection), body: manifest });
  }

  /**
   * Server-side apply: creates the object or makes it hold what the manifest says. Without `force` it is refused where
   * another field manager has set a field to something else.
   */
  apply(manifest: Manifest, { fieldManager = "tests", force = true }: ApplyOptions = {}): Promise<Answer> {
    return this.#client.send({
      method: "PATCH",
      path: `${urlOf(pathOf(manifest))}?fieldManager=${fieldManager}&force=${force}`,
      headers: { "content-type": "application/apply-patch+yaml" },
      body: manifest,
    });
  }

  /** JSON merge patch: null removes a field, lists are replaced. */
  patch(path: ObjectPath, change: object): Promise<Answer> {
    return this.#client.send({
      method: "PATCH",
      path: urlOf(path),
      headers: { "content-type": "application/merge-patch+json" },
      body: change,
    });
  }

  delete(path: ObjectPath): Promise<Answer> {
    return this.#client.send({ method: "DELETE", path: urlOf(path) });
  }

  /** Any other request. */
  post(path: ObjectPath, body: object): Promise<Answer> {
    return this.#client.send({ method: "POST", path: urlOf(path), body });
  }

  /** A bound token of a service account, by TokenRequest. */
  async serviceAccountToken(given: {
    readonly name: string;
    readonly namespace: string;
    readonly expirationSeconds?: number;
    readonly audiences?: readonly string[];
  }): Promise<string> {
    const { name, namespace, expirationSeconds = 3600, audiences } = given;
    const answer = await this.post(
      { apiVersion: "v1", plural: "serviceaccounts", namespace, name, subresource: "token" },
      { spec: { expirationSeconds, ...(audiences !== undefined && { audiences }) } },
    );
    return answer.status.token;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** Where the object of a manifest lives. */
export function pathOf(manifest: Manifest): ObjectPath {
  const { name, namespace } = manifest.metadata;
  return {
    apiVersion: manifest.apiVersion,
    plural: pluralOf(manifest.kind),
    name,
    ...(namespace !== undefined && { namespace }),
  };
}

/** Enough for the kinds that the tests apply; discovery would know it for every kind. */
function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  return lower.endsWith("s") ? `${lower}es` : lower.endsWith("y") ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

function urlOf({ apiVersion, plural, namespace, name, subresource }: ObjectPath): string {
  const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const parts = [base, ...(namespace === undefined ? [] : ["namespaces", namespace]), plural, name, subresource];
  return parts.filter((part) => part !== undefined).join("/");
}
