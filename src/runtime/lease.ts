// What a Lease is (coordination.k8s.io/v1), and what those who compete for one need of a client.
import type { CallOptions } from "./client.ts";
import type { Resource } from "./objects.ts";
import type { ObjectRef } from "./wire.ts";

export const leaseResource: Resource = {
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  kind: "Lease",
};

/** `spec` of a Lease. Times are RFC 3339 with microseconds and are only ever shown, never computed with. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface Lease {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: LeaseSpec;
}

/** What the elector needs of a KubeClient. */
export interface LeaseClient {
  get(resource: Resource, ref: ObjectRef, options: CallOptions): Promise<Lease>;
  create(resource: Resource, ref: ObjectRef, body: Lease, options: CallOptions): Promise<Lease>;
  replace(resource: Resource, ref: ObjectRef, body: Lease, options: CallOptions): Promise<Lease>;
}

/** RFC 3339 with the six decimals that `metav1.MicroTime` wants. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
