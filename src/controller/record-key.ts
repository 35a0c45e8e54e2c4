// The key that authenticates records, and the id of the cluster they are bound to. Both come from the API server once,
// at start: the key from a Secret of the operator's own namespace, made when it is not there yet.
import { randomBytes } from "node:crypto";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "../runtime/client.ts";
import { isAlreadyExists, isForbidden, isNotFound } from "../runtime/kube-error.ts";
import type { KubeObject, Resource } from "../runtime/objects.ts";

/** Name of the Secret, and of the one field in it. */
const recordKeySecret = "kms-vault-operator-fingerprint-key";
const field = "key";
const keyBytes = 32;

const secrets: Resource = { group: "", version: "v1", plural: "secrets", kind: "Secret" };
const namespaces: Resource = { group: "", version: "v1", plural: "namespaces", kind: "Namespace" };

/** The key, and since when there is one: ms since the epoch, undefined where it is this process's own. */
export interface RecordKey {
  readonly key: Uint8Array;
  readonly since: number | undefined;
}

/** The door to the API server, while the operator starts. */
export interface Asking {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Aborts when the process shall stop. */
  readonly signal: AbortSignal;
}

interface KeySecret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * Reads the key, or makes it.
 * @param namespace the operator's own
 * @returns 32 random bytes; a key of this process only, with one warning, where Secrets are forbidden (then each
 *   restart verifies every object against KMS once)
 * @throws KubeError when the API server could not be asked, OperatorError when the Secret holds something else
 */
export async function loadRecordKey({ client, logger, signal }: Asking, namespace: string): Promise<RecordKey> {
  try {
    return await readOrCreate({ client, signal }, namespace);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    logger.warn(
      { secret: recordKeySecret, namespace, error },
      "the record key may not be read or made; using one of this process only, so each restart decrypts every object once",
    );
    return { key: randomBytes(keyBytes), since: undefined };
  }
}

/**
 * Uid of the kube-system namespace, which stands for the cluster.
 * @returns "" with a warning where it may not be read: records are then not bound to the cluster
 * @throws KubeError when the API server could not be asked
 */
export async function loadClusterId({ client, logger, signal }: Asking): Promise<string> {
  try {
    const { metadata } = await client.get<KubeObject>(namespaces, { name: "kube-system" }, { signal });
    return metadata.uid;
  } catch (error) {
    if (!isForbidden(error) && !isNotFound(error)) throw error;
    logger.warn({ error }, "the kube-system namespace may not be read; records are not bound to this cluster");
    return "";
  }
}

async function readOrCreate({ client, signal }: Omit<Asking, "logger">, namespace: string): Promise<RecordKey> {
  const ref = { namespace, name: recordKeySecret };
  try {
    return keyOf(await client.get<KeySecret>(secrets, ref, { signal }), namespace);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const key = randomBytes(keyBytes);
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: recordKeySecret, namespace },
    type: "Opaque",
    data: { [field]: key.toString("base64") },
  };
  try {
    const created = await client.create<KeySecret>(secrets, { namespace }, secret, { signal });
    return { key, since: Date.parse(created.metadata.creationTimestamp) };
  } catch (error) {
    // Another replica was faster: its key counts.
    if (!isAlreadyExists(error)) throw error;
    return keyOf(await client.get<KeySecret>(secrets, ref, { signal }), namespace);
  }
}

function keyOf(secret: KeySecret, namespace: string): RecordKey {
  const key = Buffer.from(secret.data?.[field] ?? "", "base64");
  if (key.length === keyBytes) return { key, since: Date.parse(secret.metadata.creationTimestamp) };
  throw new OperatorError(
    "KubernetesError",
    `Secret ${namespace}/${recordKeySecret} holds no key of ${keyBytes} bytes under ${field}; delete it and a new one is made`,
  );
}
