// Values that fall back to others, or to nothing: null takes the fallback, and what is empty says that there is none. The
// values that the Go operator's chart had are an exception: empty ones fell back there, so they do here.
import { expect, test } from "vitest";
import { renderChart } from "../env/helm.ts";
import {
  annotationsOf,
  imagesOf,
  limits,
  operator,
  repository,
  webhook,
  withWebhook,
  type ValueCase,
} from "./chart-cases.ts";
import { containerOf, deploymentOf } from "./chart-matrix.ts";
import type { Rendered } from "../env/helm.ts";

const probesOf = (rendered: Rendered): unknown =>
  [operator, webhook].map((name) =>
    Object.keys(containerOf(rendered, name)).filter((field) => field.endsWith("Probe")),
  );
const schedulingOf = (rendered: Rendered): unknown => {
  const pod: Readonly<Record<string, unknown>> = deploymentOf(rendered, webhook).spec.template.spec;
  return [pod["nodeSelector"], pod["tolerations"], pod["priorityClassName"]];
};
const operators = {
  nodeSelector: { disk: "ssd" },
  tolerations: [{ key: "dedicated", operator: "Exists" }],
  priorityClassName: "high",
};

const cases: readonly ValueCase[] = [
  {
    value: "livenessProbe and readinessProbe, null",
    values: {
      livenessProbe: null,
      readinessProbe: null,
      ...withWebhook({ livenessProbe: null, readinessProbe: null }),
    },
    shows: probesOf,
    as: [[], []],
  },
  {
    value: "a probe with nothing but Kubernetes' own limits",
    values: { livenessProbe: { periodSeconds: null } },
    shows: (rendered) => containerOf(rendered)["livenessProbe" as keyof object],
    as: { httpGet: { path: "/healthz", port: "http-metrics" } },
  },
  {
    value: "where the webhook may run, null",
    values: { ...operators, ...withWebhook({}) },
    shows: schedulingOf,
    as: Object.values(operators),
  },
  {
    value: "where the webhook may run, empty",
    values: { ...operators, ...withWebhook({ nodeSelector: {}, tolerations: [], priorityClassName: "" }) },
    shows: schedulingOf,
    as: [undefined, undefined, undefined],
  },
  {
    value: "podAnnotations, empty as in the Go operator's chart",
    values: { global: { podAnnotations: { a: "1" } }, podAnnotations: {}, ...withWebhook({ podAnnotations: {} }) },
    shows: annotationsOf,
    as: [{ a: "1" }, { a: "1" }],
  },
  {
    value: "resources, empty as in the Go operator's chart",
    values: { global: { resources: limits }, resources: {} },
    shows: (rendered) => containerOf(rendered).resources,
    as: limits,
  },
  {
    value: "policy.existingConfigMap, empty, is no policy that would be passed over",
    values: { policy: { existingConfigMap: "" } },
    shows: (rendered) => containerOf(rendered).args.filter((arg) => arg.startsWith("--policy")),
    as: [],
  },
  {
    value: "imageVersion, empty",
    values: { global: { imageVersion: "v9" }, imageVersion: "" },
    shows: imagesOf,
    as: [`${repository}:v9`],
  },
];

test.each(cases)("$value", async ({ values, shows, as }) => {
  expect(shows(await renderChart(values))).toEqual(as);
});
