// Manifests of the two kinds as a user would apply them, for tests on a real API server. They say what the test says and
// nothing else, right or wrong: what is wrong with them is for the API server or the operator to find.
import { apiVersion } from "../../src/api/kinds.ts";
import type { Manifest, ObjectPath } from "../env/kube-client.ts";

/** Names an object in a namespace. */
export interface Named {
  readonly namespace: string;
  readonly name: string;
}

/** A KMSVaultSecret; `metadata` adds finalizers, annotations and the like. */
export function kmsVaultSecret({ namespace, name }: Named, spec: object, metadata: object = {}): Manifest {
  return { apiVersion, kind: "KMSVaultSecret", metadata: { ...metadata, namespace, name }, spec };
}

/** A PartialKMSVaultSecret. */
export function partialKMSVaultSecret({ namespace, name }: Named, spec: object, metadata: object = {}): Manifest {
  return { apiVersion, kind: "PartialKMSVaultSecret", metadata: { ...metadata, namespace, name }, spec };
}

/** Where a KMSVaultSecret is. */
export function secretPath({ namespace, name }: Named): ObjectPath {
  return { apiVersion, plural: "kmsvaultsecrets", namespace, name };
}

/** Where a PartialKMSVaultSecret is. */
export function partialPath({ namespace, name }: Named): ObjectPath {
  return { apiVersion, plural: "partialkmsvaultsecrets", namespace, name };
}
