// Values of the webhook in the Go operator's last chart (the first had none), one by one, and what each does in this one.
import { expect, test } from "vitest";
import { objectOf, renderChart } from "../env/helm.ts";
import {
  argsOf,
  configurationOf,
  kindsOf,
  labelsOf,
  limits,
  webhook,
  withWebhook,
  type ValueCase,
} from "./chart-cases.ts";
import { containerOf, deploymentOf } from "./chart-matrix.ts";

const lastChart: readonly ValueCase[] = [
  {
    value: "validatingWebhook.podAnnotations",
    values: withWebhook({ podAnnotations: { c: "3" } }),
    shows: (rendered) => deploymentOf(rendered, webhook).spec.template.metadata.annotations,
    as: { c: "3" },
  },
  {
    value: "validatingWebhook.resources",
    values: withWebhook({ resources: limits }),
    shows: (rendered) => containerOf(rendered, webhook).resources,
    as: limits,
  },
  {
    value: "validatingWebhook.prometheusMonitoring.enable",
    values: withWebhook({ prometheusMonitoring: { enable: true } }),
    shows: (rendered) => objectOf(rendered, "ServiceMonitor", "kms-vault-operator-webhook")["spec"],
    as: {
      selector: { matchLabels: { app: "kms-vault-validating-webhook-metrics" } },
      endpoints: [{ port: "webhook-metrics", path: "/" }],
    },
  },
  {
    value: "validatingWebhook.prometheusMonitoring.serviceMonitor.customLabels",
    values: withWebhook({ prometheusMonitoring: { enable: true, serviceMonitor: { customLabels: { own: "w" } } } }),
    shows: labelsOf("kms-vault-operator-webhook"),
    as: expect.objectContaining({ own: "w" }),
  },
  { value: "validatingWebhook.enabled", values: {}, shows: kindsOf("ValidatingWebhookConfiguration"), as: [] },
  {
    value: "validatingWebhook.replicas",
    values: withWebhook({ replicas: 3 }),
    shows: (rendered) => deploymentOf(rendered, webhook).spec.replicas,
    as: 3,
  },
  {
    value: "validatingWebhook.failurePolicy",
    values: withWebhook({ failurePolicy: "Ignore" }),
    shows: configurationOf,
    as: expect.objectContaining({ webhooks: [expect.objectContaining({ failurePolicy: "Ignore" })] }),
  },
  {
    value: "validatingWebhook.certManager.*",
    values: withWebhook({
      certManager: { duration: "100h", renewBefore: "10h", issuerRef: { name: "mine", kind: "Issuer" } },
    }),
    shows: (rendered) => [
      objectOf(rendered, "Certificate", webhook)["spec"],
      objectOf(rendered, "ValidatingWebhookConfiguration", webhook).metadata["annotations"],
      deploymentOf(rendered, webhook).spec.template.spec.volumes,
    ],
    as: [
      expect.objectContaining({
        secretName: webhook,
        duration: "100h",
        renewBefore: "10h",
        issuerRef: { name: "mine", kind: "Issuer" },
      }),
      { "cert-manager.io/inject-ca-from": `kms-vault-operator/${webhook}` },
      [{ name: "tls", secret: { secretName: webhook } }],
    ],
  },
  {
    value: "validatingWebhook.certManager.injectSecret: false, validatingWebhook.tls.*, validatingWebhook.caBundle",
    values: withWebhook({
      certManager: { injectSecret: false },
      tls: { mountPath: "/t", certFileName: "c", privateKeyFileName: "k", secretName: "own" },
      caBundle: "Q0E=",
    }),
    shows: (rendered) => [
      argsOf(webhook)(rendered).filter((arg) => arg.startsWith("--tls")),
      deploymentOf(rendered, webhook).spec.template.spec.volumes,
      configurationOf(rendered),
      kindsOf("Certificate")(rendered),
    ],
    as: [
      ["--tls-cert-file=/t/c", "--tls-key-file=/t/k"],
      [{ name: "tls", secret: { secretName: "own" } }],
      expect.objectContaining({
        webhooks: [expect.objectContaining({ clientConfig: expect.objectContaining({ caBundle: "Q0E=" }) })],
      }),
      [],
    ],
  },
  {
    value: "validatingWebhook.caBundle: Cg==, the old word for none",
    values: withWebhook({ certManager: { injectSecret: false }, caBundle: "Cg==" }),
    shows: (rendered) => JSON.stringify(configurationOf(rendered)).includes("caBundle"),
    as: false,
  },
  {
    value: "validatingWebhook.caBundle, in lines as base64 writes it",
    values: withWebhook({ certManager: { injectSecret: false }, caBundle: "Q0Ex\nQ0Ey\n" }),
    shows: configurationOf,
    as: expect.objectContaining({
      webhooks: [expect.objectContaining({ clientConfig: expect.objectContaining({ caBundle: "Q0ExQ0Ey" }) })],
    }),
  },
  {
    value: "validatingWebhook.namespaceSelectorExpressions",
    values: withWebhook({ namespaceSelectorExpressions: [{ key: "team", operator: "In", values: ["a"] }] }),
    shows: configurationOf,
    as: expect.objectContaining({
      webhooks: [
        expect.objectContaining({
          namespaceSelector: { matchExpressions: [{ key: "team", operator: "In", values: ["a"] }] },
        }),
      ],
    }),
  },
  {
    value: "validatingWebhook.affinity",
    values: withWebhook({ affinity: { podAntiAffinity: {} } }),
    shows: (rendered) => deploymentOf(rendered, webhook).spec.template.spec.affinity,
    as: { podAntiAffinity: {} },
  },
];

test.each(lastChart)("$value", async ({ values, shows, as }) => {
  expect(shows(await renderChart(values))).toEqual(as);
});
