// The kinds of Prometheus' operator and of cert-manager that the chart and kustomize/ make, as far as they use them: so a
// field that is misspelt, or stands in the wrong place, is refused as in a cluster that has these operators.
import { eventually } from "./eventually.ts";
import type { KubeClient, Manifest } from "./kube-client.ts";

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const labels: Schema = { type: "object", additionalProperties: text };
const rules: Schema = listOf(
  fields({ record: text, alert: text, expr: text, for: text, keep_firing_for: text, labels, annotations: labels }),
);
const relabelings: Schema = listOf({ type: "object", "x-kubernetes-preserve-unknown-fields": true });
const endpoints: Schema = listOf(
  fields({
    port: text,
    path: text,
    scheme: text,
    interval: text,
    scrapeTimeout: text,
    relabelings,
    metricRelabelings: relabelings,
  }),
);
const selector: Schema = fields({ matchLabels: labels });
const monitoring = "monitoring.coreos.com";

const kinds: ReadonlyArray<readonly [group: string, kind: string, spec: Schema]> = [
  [monitoring, "ServiceMonitor", { ...fields({ selector, endpoints }), required: ["selector", "endpoints"] }],
  [monitoring, "PodMonitor", { ...fields({ selector, podMetricsEndpoints: endpoints }), required: ["selector"] }],
  [monitoring, "PrometheusRule", fields({ groups: listOf(fields({ name: text, interval: text, rules })) })],
  [
    "cert-manager.io",
    "Certificate",
    {
      ...fields({
        secretName: text,
        duration: text,
        renewBefore: text,
        commonName: text,
        dnsNames: listOf(text),
        usages: listOf(text),
        issuerRef: fields({ name: text, kind: text, group: text }),
      }),
      required: ["issuerRef", "secretName"],
    },
  ],
];

/** Applies them and resolves when the API server serves them. */
export async function applyForeignCrds(kube: KubeClient): Promise<void> {
  await Promise.all(
    kinds.map(async ([group, kind, spec]) => {
      const plural = `${kind.toLowerCase()}s`;
      await kube.apply(crd(group, kind, spec));
      await eventually(() => kube.list({ apiVersion: `${group}/v1`, plural }), { timeoutMs: 20_000 });
    }),
  );
}

function crd(group: string, kind: string, spec: Schema): Manifest {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { ...fields({ spec }), required: ["spec"] } },
        },
      ],
    },
  };
}

function fields(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", properties };
}

function listOf(items: Schema): Schema {
  return { type: "array", items };
}
