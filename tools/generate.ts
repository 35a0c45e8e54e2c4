// `node tools/generate.ts` writes every generated file; with --check it writes nothing and fails when one is stale or
// left over. What is generated is committed, so that users and reviews see it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renderCrds } from "../src/api/crd.ts";
import { requiredValues, valuesYaml } from "./helm-values.ts";
import { helmValuesPage } from "./helm-values-page.ts";
import { manifestFiles } from "./manifests.ts";
import { apiPage, configurationPage, metricsPage } from "./reference.ts";

/** A generated file; paths are relative to the repository. */
interface Generated {
  readonly path: string;
  readonly render: () => string | Promise<string>;
}

const root = join(import.meta.dirname, "..");

const generated: readonly Generated[] = [
  ...renderCrds().map(({ file, yaml }) => ({ path: `deploy/crds/${file}`, render: () => yaml })),
  ...renderCrds().map(({ file, yaml }) => ({ path: `helm/kms-vault-operator/files/crds/${file}`, render: () => yaml })),
  { path: "helm/kms-vault-operator/values.yaml", render: valuesYaml },
  { path: "helm/kms-vault-operator/files/required-values.yaml", render: requiredValues },
  { path: "docs/reference/api.md", render: apiPage },
  { path: "docs/reference/configuration.md", render: configurationPage },
  { path: "docs/reference/metrics.md", render: metricsPage },
  { path: "docs/reference/helm-values.md", render: helmValuesPage },
  // Last: rendered from the chart, of which some of the files above are part.
  ...manifestFiles,
];

/** Directories that hold generated files only: what else is in them is left over from a file that is no more. */
const ownDirectories = ["deploy/crds", "helm/kms-vault-operator/files/crds"];

const isCheck = process.argv.includes("--check");
const stale: string[] = [];
for (const { path, render } of generated) {
  const content = await render();
  if (contentOf(path) === content) continue;
  stale.push(path);
  if (!isCheck) write(path, content);
}
const leftOver = ownDirectories.flatMap((directory) =>
  listOf(directory)
    .map((file) => `${directory}/${file}`)
    .filter((path) => !generated.some((file) => file.path === path)),
);

if (isCheck) {
  for (const path of stale) process.stderr.write(`${path} is stale: run "make generate" and commit it\n`);
  for (const path of leftOver) process.stderr.write(`${path} is not generated any more: run "make generate"\n`);
  process.exitCode = stale.length + leftOver.length > 0 ? 1 : 0;
} else {
  for (const path of leftOver) {
    rmSync(join(root, path));
    process.stdout.write(`removed ${path}\n`);
  }
}

function write(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  process.stdout.write(`wrote ${path}\n`);
}

function contentOf(path: string): string | undefined {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function listOf(directory: string): string[] {
  const path = join(root, directory);
  return existsSync(path) ? readdirSync(path) : [];
}
