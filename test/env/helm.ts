// The chart as its users render it: by Helm itself, the present one and the one before it, with values on its standard
// input. What comes out is handed on as objects and as the text that it was.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import type { Manifest } from "./kube-client.ts";

/** Helm 4, and Helm 3. */
export type HelmProgram = "helm" | "helm3";
/** As they stand in a values file. */
export type Values = Readonly<Record<string, unknown>>;

/** The chart's directory. */
export const chartDirectory = join(import.meta.dirname, "..", "..", "helm", "kms-vault-operator");
/** The namespace that charts are rendered for unless a test says otherwise. */
export const releaseNamespace = "kms-vault-operator";

/** Helm 3 as it is built from its module takes the cluster for 1.20 where it has none to ask. */
const kubeVersion = "--kube-version=1.37.0";

/** What became of a run of Helm. */
export interface HelmOutput {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RenderOptions {
  readonly helm?: HelmProgram;
  /** Of the release; `releaseNamespace` unless given. */
  readonly namespace?: string;
  /** More of helm template's arguments. */
  readonly args?: readonly string[];
}

/** What `helm template` printed. */
export interface Rendered {
  readonly text: string;
  readonly manifests: readonly Manifest[];
}

/** Runs Helm to its end; `values` is its standard input, which `--values=-` reads. */
export async function runHelm(
  args: readonly string[],
  values: Values = {},
  program: HelmProgram = "helm",
): Promise<HelmOutput> {
  const programs = await resolveToolchain([program], () => {});
  return new Promise((resolve, reject) => {
    const child = spawn(programs[program], args, { stdio: ["pipe", "pipe", "pipe"], timeout: 60_000 });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(JSON.stringify(values));
  });
}

/**
 * `helm template kms-vault-operator helm/kms-vault-operator`.
 * @throws Error with what Helm says, when it refuses
 */
export async function renderChart(values: Values = {}, options: RenderOptions = {}): Promise<Rendered> {
  const { code, stdout, stderr } = await template(values, options);
  if (code !== 0) throw new Error(stderr);
  return { text: stdout, manifests: manifestsIn(stdout) };
}

/**
 * What Helm says of values that the chart refuses.
 * @throws Error when it does not refuse them
 */
export async function refusalOf(values: Values, options: RenderOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await template(values, options);
  if (code === 0) throw new Error(`the chart takes ${JSON.stringify(values)} and renders\n${stdout}`);
  return stderr;
}

function template(
  values: Values,
  { helm = "helm", namespace = releaseNamespace, args = [] }: RenderOptions,
): Promise<HelmOutput> {
  const line = [
    "template",
    "kms-vault-operator",
    chartDirectory,
    `--namespace=${namespace}`,
    "--values=-",
    kubeVersion,
    ...args,
  ];
  return runHelm(line, values, helm);
}

/**
 * The object of that kind and name.
 * @throws Error when there is none
 */
export function objectOf({ manifests }: Rendered, kind: string, name: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) {
    throw new Error(
      `no ${kind} ${name} among ${manifests.map((each) => `${each.kind} ${each.metadata.name}`).join(", ")}`,
    );
  }
  return found;
}

/** The objects of a stream of YAML documents. */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`not YAML: ${document.errors[0]?.message}\n${text}`);
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}
