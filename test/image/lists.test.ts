// `make sbom` and `make provenance` of the image itself: every package of its base and of its bundle is listed, and Node in
// the version that runs; the statement names its commit.
import { readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, inject, test } from "vitest";
import { commitOf } from "../../tools/image/commit.ts";
import { output } from "../../tools/image/output.ts";

const { clones, crane, directory, image: pushed, root, registry } = inject("image");
const lists = join(directory, "lists");
let image: string;

interface Listed {
  readonly name: string;
  readonly version: string;
}

beforeAll(async () => {
  // Its packages: those of the checkout that it is a clone of.
  await symlink(join(import.meta.dirname, "..", "..", "node_modules"), join(clones[1], "node_modules"));
  image = `${pushed}@${(await output(crane, ["digest", pushed])).trim()}`;
  await runTool("sbom.ts");
});

/** Runs a program of the clone, as `make` would. */
function runTool(program: string, ...flags: readonly string[]): Promise<string> {
  const platform = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;
  const args = [join(clones[1], "tools", program), image, "--platform", platform, "--output", lists, ...flags];
  return output(process.execPath, args, { env: { ...process.env, CRANE_BIN: crane } });
}

async function read<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, "utf8")) as T;
}

test("lists what the base, Node and the bundle say of themselves, in both formats", async () => {
  const packages = (await readdir(join(root, "var/lib/dpkg/status.d"))).filter((name) => !name.endsWith(".md5sums"));
  const bundle = await read<{ readonly components: Listed[] }>(join(root, "app/dist/kms-vault-operator.cdx.json"));
  const node = (await output(join(root, "nodejs/bin/node"), ["--version"])).trim().replace("v", "");
  const { components } = await read<{ readonly components: Listed[] }>(join(lists, "image.cdx.json"));
  const names = components.map(({ name }) => name);
  expect(packages.length).toBeGreaterThan(4);
  expect(bundle.components.length).toBeGreaterThan(20);
  expect(names).toEqual(expect.arrayContaining([...packages, ...bundle.components.map(({ name }) => name)]));
  expect(components).toContainEqual(expect.objectContaining({ name: "node", version: node }));

  const spdx = await read<{ readonly packages: ReadonlyArray<{ readonly name: string }> }>(
    join(lists, "image.spdx.json"),
  );
  // Here the names of npm's packages have their scope.
  expect(spdx.packages.map(({ name }) => name.split("/").at(-1))).toEqual(expect.arrayContaining(names));
});

test("the provenance names the image and its commit", async () => {
  const base = `${registry}/base@sha256:${"0".repeat(64)}`;
  await runTool("provenance.ts", "--builder", "https://ci.example.com/tests", "--base-image", base);
  const statement = await readFile(join(lists, "provenance.intoto.json"), "utf8");
  expect(statement).toContain((await commitOf(clones[0], "HEAD")).id);
  expect(statement).toContain(image.replace(/^.*@sha256:/, ""));
});
