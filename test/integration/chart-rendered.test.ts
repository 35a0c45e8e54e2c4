// What the chart renders, for each way to install it: all of it as a snapshot to read, and what must hold for every one
// of them. Both Helms render the same.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { isScalar, parse, parseAllDocuments, visit } from "yaml";
import { renderCrds } from "../../src/api/crd.ts";
import { normaliseGoFlags } from "../../src/cli/go-flags.ts";
import { loadConfig } from "../../src/config.ts";
import { type Flag, runFlags, variables } from "../../src/config-reference.ts";
import { webhookFlags, webhookVariables } from "../../src/config-reference-webhook.ts";
import { loadWebhookConfig } from "../../src/config-webhook.ts";
import { productVersion } from "../../src/version.ts";
import { parsePolicy } from "../../src/policy/parse.ts";
import type { Manifest } from "../env/kube-client.ts";
import {
  chartDirectory,
  objectOf,
  type Rendered,
  releaseNamespace,
  renderChart,
  runHelm,
  type Values,
} from "../env/helm.ts";
import { type Container, deploymentsOf, matrix } from "./chart-matrix.ts";

test.for(["helm", "helm3"] as const)("%s lint --strict has nothing to say", async (program) => {
  const { code, stdout, stderr } = await runHelm(["lint", "--strict", "--quiet", chartDirectory], {}, program);
  expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
});

describe.each(Object.entries(matrix))("%s", (label, values) => {
  let rendered: Rendered;
  beforeAll(async () => {
    rendered = await renderChart(values);
  });

  test("is what the snapshot shows, without what is in files of the chart and without its version", async () => {
    const documents = rendered.text.split(/^---\n/m).filter((document) => !holdsFile(document));
    const text = documents.map((document) => document.trim()).join("\n---\n");
    const unversioned = `${text.trim()}\n`.replaceAll(productVersion, "VERSION");
    await expect(unversioned).toMatchFileSnapshot(join("chart-snapshots", `${label}.yaml`));
  });

  test("is what Helm 3 renders too, and each time the same", async () => {
    const byHelm3 = await renderChart(values, { helm: "helm3" });
    expect(sorted(byHelm3.manifests)).toEqual(sorted(rendered.manifests));
    expect((await renderChart(values)).text).toBe(rendered.text);
  });

  test("pods are of the restricted profile", () => {
    for (const { spec } of deploymentsOf(rendered)) {
      const pod = spec.template.spec;
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources).toHaveProperty("limits.memory");
      }
    }
  });

  test("selectors are those of the Go operator's chart, and select the pods", () => {
    for (const { metadata, spec } of deploymentsOf(rendered)) {
      expect(spec.selector).toEqual({ matchLabels: { app: metadata.name } });
      expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    }
  });

  test("CRDs stay behind, no Secret is made, and every object says where it is", () => {
    const kinds = rendered.manifests.map(({ kind }) => kind);
    const crds = rendered.manifests.filter(({ kind }) => kind === "CustomResourceDefinition");
    expect(crds).toHaveLength(2);
    for (const { metadata } of crds) {
      expect(metadata["annotations"]).toEqual({
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false",
      });
    }
    expect(kinds).not.toContain("Secret");
    const unplaced = rendered.manifests.filter(
      ({ kind, metadata }) => metadata.namespace === undefined && !/^Cluster|Definition$|Configuration$/.test(kind),
    );
    expect(unplaced).toEqual([]);
    const names = rendered.manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  test("a name is a text to every reader of YAML", () => {
    // Helm and kubectl read YAML 1.1, to which more words are no texts.
    for (const document of parseAllDocuments(rendered.text, { version: "1.1" })) {
      visit(document, {
        Pair(_, { key, value }) {
          if (!isScalar(key) || !isScalar(value) || !/(^n|N)ame(space)?$/.test(String(key.value))) return;
          expect([key.value, value.value]).toEqual([key.value, expect.any(String)]);
        },
      });
    }
  });

  test("every flag and variable is one that the programs know, and they would start with them", () => {
    for (const { spec } of deploymentsOf(rendered)) {
      const [container] = spec.template.spec.containers;
      expect(unknownVariables(container)).toEqual([]);
      expect(problemsOf(container)).toEqual([]);
    }
  });

  test("every mounted volume is there, none is mounted by subPath, no variable is named twice", () => {
    for (const { spec } of deploymentsOf(rendered)) {
      const { volumes = [], containers } = spec.template.spec;
      const mounts = containers[0].volumeMounts ?? [];
      expect(mounts.map(({ name }) => name).toSorted()).toEqual(volumes.map(({ name }) => name).toSorted());
      expect(mounts.filter(({ subPath }) => subPath !== undefined)).toEqual([]);
      const names = containers[0].env.map((variable) => variable.name);
      expect(names).toEqual([...new Set(names)]);
    }
  });

  test("the policy, if there is one, is one that the operator takes", () => {
    for (const manifest of rendered.manifests.filter(({ metadata }) => metadata.name === "kms-vault-operator-policy")) {
      if (manifest.kind !== "ConfigMap") continue;
      const data = manifest["data"] as Readonly<Record<string, string>>;
      expect(parsePolicy(data["policy.yaml"] ?? "")).toHaveProperty("rules");
    }
  });
});

test.each(["123", "1e3", "on", "null"])("in the namespace %s, every object is in that one", async (namespace) => {
  const { text } = await renderChart(matrix["everything"], { namespace });
  const all = parseAllDocuments(text, { version: "1.1" }).map((document) => document.toJS() as Manifest);
  const namespaces = new Set(all.map(({ metadata }) => metadata.namespace));
  expect(namespaces).toEqual(new Set([undefined, namespace]));
});

describe("files of the chart", () => {
  const dashboards = filesIn("dashboards");

  test.each(dashboards)("dashboard %s is a ConfigMap that holds it as it is", async (file) => {
    const rendered = await renderChart({ dashboards: { enabled: true, labels: { mine: "1" }, namespace: "grafana" } });
    const map = objectOf(rendered, "ConfigMap", `kms-vault-operator-dashboard-${file.replace(".json", "")}`);
    expect(map.metadata).toMatchObject({ namespace: "grafana", labels: { mine: "1" } });
    expect(map["data"]).toEqual({ [file]: readFileSync(join(chartDirectory, "dashboards", file), "utf8") });
  });

  const webhookOn = { validatingWebhook: { enabled: true } };
  const absent = 'absent(informer_objects{namespace="kms-vault-operator",resource="kmsvaultsecrets"})';
  const gone =
    'absent(kms_vault_operator_webhook_certificate_expiry_timestamp_seconds{namespace="kms-vault-operator"})';
  test.each<[string, Values, readonly string[], Readonly<Record<string, string>>]>([
    ["the operator's", {}, ["kms-vault-operator"], { KMSVaultOperatorAbsent: absent }],
    [
      "the webhook's too",
      webhookOn,
      ["kms-vault-operator", "kms-vault-operator-webhook"],
      { KMSVaultOperatorAbsent: absent },
    ],
    [
      "both, of what the chart has scraped",
      { ...webhookOn, global: { prometheusMonitoring: { enable: true } } },
      ["kms-vault-operator", "kms-vault-operator-webhook"],
      { KMSVaultOperatorAbsent: absent, KMSVaultWebhookGone: gone },
    ],
  ])("alerts are a PrometheusRule as the file has them, but for what is known to be there: %s", async (...row) => {
    const [, values, names, known] = row;
    const rendered = await renderChart({ ...values, alerts: { enabled: true } });
    const file = parse(readFileSync(join(chartDirectory, "alerts", "kms-vault-operator.yaml"), "utf8")) as Rules;
    const groups = file.groups
      .filter(({ name }) => names.includes(name))
      .map(({ rules, ...group }) => ({
        ...group,
        rules: rules.map((rule) => ({ ...rule, expr: known[rule.alert] ?? rule.expr })),
      }));
    expect(groups).toHaveLength(names.length);
    expect(objectOf(rendered, "PrometheusRule", "kms-vault-operator")["spec"]).toEqual({ groups });
  });

  test("the CRDs are the generated ones, with all that their descriptions hold", async () => {
    const { manifests } = await renderChart({ crds: { keep: false } });
    const crds = manifests.filter(({ kind }) => kind === "CustomResourceDefinition");
    expect(crds).toEqual(renderCrds().map(({ yaml }) => parse(yaml) as unknown));
  });

  test("without crds.install there are none", async () => {
    const { manifests } = await renderChart({ crds: { install: false } });
    expect(manifests.map(({ kind }) => kind)).not.toContain("CustomResourceDefinition");
  });
});

/** A file of rules, as far as the tests look at it. */
interface Rules {
  readonly groups: ReadonlyArray<{
    readonly name: string;
    readonly rules: ReadonlyArray<{ readonly alert: string; readonly expr: string }>;
  }>;
}

/** @throws Error where there are none: a test for each of them would then be no test. */
function filesIn(directory: string): string[] {
  const files = readdirSync(join(chartDirectory, directory));
  if (files.length === 0) throw new Error(`the chart's ${directory} is empty`);
  return files;
}

/** What the program says of what it is told, as at its start. */
function problemsOf({ args, env }: Container): readonly string[] {
  const [command, ...line] = args;
  const table: readonly Flag[] = command === "webhook" ? webhookFlags : runFlags;
  const known = table.map(({ name, value }) => ({ name, boolean: value === undefined, original: false }));
  const { args: normalised, problems } = normaliseGoFlags(line, known);
  const flags = Object.fromEntries(normalised.map((flag) => /^--([^=]+)=(.*)$/s.exec(flag)?.slice(1) ?? [flag, ""]));
  const environment = Object.fromEntries(env.map(({ name, value }) => [name, value ?? "from-elsewhere"]));
  const sources = { flags, env: environment, namespace: releaseNamespace };
  const loaded = command === "webhook" ? loadWebhookConfig(sources) : loadConfig(sources);
  return [...problems, ...("problems" in loaded ? loaded.problems : [])];
}

function unknownVariables({ args, env }: Container): readonly string[] {
  const table: readonly { readonly name: string }[] = args[0] === "webhook" ? webhookVariables : variables;
  const known = new Set(table.map(({ name }) => name));
  return env.map(({ name }) => name).filter((name) => !known.has(name) && !name.startsWith("AWS_"));
}

/** CRDs, dashboards and alerts: the files themselves are there to be read. */
function holdsFile(document: string): boolean {
  return /^kind: (CustomResourceDefinition|PrometheusRule)$|^ {2}name: kms-vault-operator-dashboard-/m.test(document);
}

/** The two Helms write objects of a kind in different orders. */
function sorted(manifests: readonly Manifest[]): Manifest[] {
  const keyOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace ?? ""} ${metadata.name}`;
  return manifests.toSorted((one, other) => keyOf(one).localeCompare(keyOf(other)));
}
