// The two CRDs as clusters have them from the Go operator, written anew from what its objects may hold. "first" is that of
// 2019 (vaultAuthMethod per object; unknown fields were kept then), "last" that of its last releases (no vaultAuthMethod,
// secretContext of the whole object, lists by key). Both require kvSettings and secrets, which ours do not.
import { group, version } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import type { KubeClient, Manifest } from "../env/kube-client.ts";

/** A generation of the Go operator. */
export type Generation = "first" | "last";

/** Both. */
export const generations: readonly Generation[] = ["first", "last"];

const text = { type: "string" };
const context = { type: "object", additionalProperties: text };
const status = { type: "object", properties: { created: { type: "boolean" } } };

/** The manifests of both CRDs. */
export function oldCrds(generation: Generation): Manifest[] {
  return [
    crd(generation, { kind: "KMSVaultSecret", shortName: "kmsvs", spec: secretSpec(generation) }),
    crd(generation, { kind: "PartialKMSVaultSecret", shortName: "pkmsvs", spec: partialSpec(generation) }),
  ];
}

/** Applies them, by force, and resolves when the API server goes by them. */
export async function applyOldCrds(kube: KubeClient, generation: Generation): Promise<void> {
  const crds = oldCrds(generation);
  await Promise.all(crds.map((one) => kube.apply(one)));
  const lists = ["kmsvaultsecrets", "partialkmsvaultsecrets"];
  await Promise.all(lists.map((plural) => eventually(() => kube.list({ apiVersion: `${group}/${version}`, plural }))));
}

function crd(
  generation: Generation,
  given: { readonly kind: string; readonly shortName: string; readonly spec: object },
): Manifest {
  const { kind, shortName, spec } = given;
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const names = { kind, listKind: `${kind}List`, plural, singular };
  const schema = {
    type: "object",
    properties: { apiVersion: text, kind: text, metadata: { type: "object" }, spec, status },
    ...(generation === "first" && { "x-kubernetes-preserve-unknown-fields": true }),
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: generation === "first" ? names : { ...names, shortNames: [shortName] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
}

function secretSpec(generation: Generation): object {
  const isFirst = generation === "first";
  return {
    type: "object",
    required: ["path", "secrets", "kvSettings", ...(isFirst ? ["vaultAuthMethod"] : [])],
    properties: {
      path: text,
      kvSettings: {
        type: "object",
        required: ["engineVersion"],
        properties: {
          engineVersion: { type: "string", enum: ["v1", "v2"] },
          casIndex: { type: "integer", minimum: 0 },
        },
      },
      secrets: entries(generation),
      includeSecrets: { type: "array", items: text, ...(!isFirst && { "x-kubernetes-list-type": "set" }) },
      ...(isFirst
        ? { vaultAuthMethod: { type: "string", enum: ["k8s", "token", "userpass"] } }
        : { secretContext: context }),
    },
  };
}

function partialSpec(generation: Generation): object {
  const properties = { secrets: entries(generation), ...(generation === "last" && { secretContext: context }) };
  return { type: "object", required: ["secrets"], properties };
}

function entries(generation: Generation): object {
  const isFirst = generation === "first";
  return {
    type: "array",
    items: {
      type: "object",
      required: isFirst ? ["key", "encryptedSecret"] : ["key"],
      properties: {
        key: text,
        encryptedSecret: text,
        secretContext: context,
        ...(!isFirst && { emptySecret: { type: "boolean" } }),
      },
    },
    ...(!isFirst && { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"] }),
  };
}
