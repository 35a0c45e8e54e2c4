// deploy/helm-values: each file is taken by the chart, and what the chart makes of it is a configuration that the
// operator takes: with the method that the file is named after, and with its credentials from Secrets alone.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { normaliseGoFlags } from "../../src/cli/go-flags.ts";
import { type Config, loadConfig } from "../../src/config.ts";
import { runFlags } from "../../src/config-reference.ts";
import { authMethods } from "../../src/vault/vault.ts";
import { objectOf, renderChart } from "../env/helm.ts";
import { operatorName, podSpecOf } from "./pods.ts";

const directory = join(import.meta.dirname, "..", "..", "deploy", "helm-values");
/** Names that the original gave to two of its files. */
const original: Readonly<Record<string, string>> = { "k8s-auth": "k8s", "vault-token": "token" };
const files = readdirSync(directory);

test("there is one for each method", () => {
  expect(files.map(methodOf).toSorted()).toEqual(authMethods.toSorted());
});

test.each(files)("%s", async (file) => {
  const args = [`--values=${join(directory, file)}`];
  const rendered = await renderChart({}, { namespace: "vault-login", args });
  const { env, config } = configured(podSpecOf(objectOf(rendered, "Deployment", operatorName)));
  expect(config.authMethod).toBe(methodOf(file));
  expect(config.namespace).toBe("vault-login");
  expect(config.vault.transport).toMatchObject({ address: new URL("https://vault:8200") });
  // As files, from a volume: a variable would stand in what `kubectl describe pod` shows of the Secret's name only, but
  // also in /proc of the process.
  const credentials = Object.keys(env).filter((name) => /(TOKEN|PASSWORD|SECRET_ID|SECRET_ACCESS_KEY)$/.test(name));
  expect(credentials).toEqual([]);
});

function methodOf(file: string): string {
  const name = file.replace(/-operator-values\.yaml$/, "");
  return original[name] ?? name;
}

/** The operator's own reading of a container's arguments and variables. */
function configured(pod: ReturnType<typeof podSpecOf>): { readonly env: Record<string, string>; config: Config } {
  const [{ args = [], env: variables = [] }] = pod.containers;
  const flags = runFlags.map((flag) => ({ name: flag.name, boolean: !("value" in flag), original: false }));
  const normalised = normaliseGoFlags(
    args.filter((arg) => arg !== "run"),
    flags,
  );
  expect(normalised.problems).toEqual([]);
  const given = normalised.args.filter((arg) => arg !== "--").map((arg) => arg.slice(2).split(/=(.*)/s).slice(0, 2));
  const env = Object.fromEntries(variables.map(({ name, value }) => [name, value ?? "vault-login"]));
  const loaded = loadConfig({ flags: Object.fromEntries(given), env });
  if ("problems" in loaded) throw new Error(loaded.problems.join("\n"));
  return { env, config: loaded.config };
}
