// What the release workflow does with what was built, on a registry on loopback: nothing has a tag before it is signed, a
// version stays what it is, and `latest` never goes back. The steps are those of the workflow, run as its runner does.
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { freePort } from "../env/ports.ts";
import { type Ran, root, startSupplyScene, type SupplyScene } from "./supply-scene.ts";

interface Step {
  readonly name?: string;
  readonly run?: string;
}

const { jobs } = parse(await readFile(join(root, ".github", "workflows", "release.yml"), "utf8")) as {
  readonly jobs: Readonly<Record<string, { readonly steps?: readonly Step[] }>>;
};
const steps = Object.values(jobs).flatMap((job) => job.steps ?? []);

let scene: SupplyScene;
/** Of a run of the workflow. */
let directory: string;
let variables: Record<string, string>;
let digests: Readonly<Record<"amd64" | "arm64" | "both", string>>;

beforeAll(async () => {
  scene = await startSupplyScene();
  const amd64 = await scene.push("amd64", "one");
  const arm64 = await scene.push("arm64", "one", "arm64");
  const parts = ["--manifest", amd64, "--manifest", arm64, "--tag", `${scene.name}:both`];
  await crane("index", "append", ...parts);
  const digestOf = (image: string) => image.split("@")[1] ?? "";
  const both = (await crane("digest", `${scene.name}:both`)).trim();
  digests = { amd64: digestOf(amd64), arm64: digestOf(arm64), both };
  await crane("pull", "--format", "oci", `${scene.name}:both`, "layout");
  execFileSync("tar", ["-cf", "image.tar", "-C", "layout", "."], { cwd: scene.directory });
  const { helm } = await resolveToolchain(["helm"], timedProgress(process.stderr));
  await mkdir(join(scene.directory, "bin"));
  await symlink(scene.programs.crane, join(scene.directory, "bin", "crane"));
  await symlink(helm, join(scene.directory, "bin", "helm"));
}, 600_000);
afterAll(() => scene?.[Symbol.asyncDispose]());

beforeEach(async () => {
  directory = await mkdtemp(join(scene.directory, "run-"));
  for (const name of ["tools", "helm", "node_modules"]) await symlink(join(root, name), join(directory, name));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { cwd: directory });
  git("init", "--quiet");
  git("commit", "--quiet", "--allow-empty", "--message=one");
  for (const tag of ["v0.9.0", "v1.9.0", "v1.10.0", "v2.0.0-rc.1"]) git("tag", tag);
  // Another repository for each run.
  const name = scene.name.replace(/\/.*/, `/${directory.slice(-6).toLowerCase()}`);
  const version: string = JSON.parse(await readFile(join(root, "package.json"), "utf8")).version;
  variables = {
    PATH: [join(scene.directory, "bin"), process.env["PATH"]].join(delimiter),
    LOCAL: `127.0.0.1:${await freePort()}`,
    IMAGE: `${name}/kms-vault-operator`,
    CHARTS: `${name}/charts`,
    CRANE_BIN: scene.programs.crane,
    GITHUB_REF_NAME: `v${version}`,
    GITHUB_ENV: join(directory, "variables"),
    RUNNER_TEMP: scene.directory,
  };
  await writeFile(join(directory, "variables"), "");
  expect(await step("List what is in it, and package the chart")).toMatchObject({ ok: true });
  // The chart's version is of the checkout; the tags below are of all kinds of versions.
  const [chart] = (await readdir(join(directory, "release", "files"))).filter((file) => file.endsWith(".tgz"));
  expect(chart).toBe(`kms-vault-operator-${version}.tgz`);
});

async function crane(...args: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await scene.run(scene.programs.crane, args);
  if (!ok) throw new Error(stderr);
  return stdout;
}

/** Runs the step of that name, as if the tag were the given one. */
async function step(name: string, tag: string = variables["GITHUB_REF_NAME"] ?? ""): Promise<Ran> {
  const script = steps.find((one) => one.name === name)?.run;
  if (script === undefined) throw new Error(`no step of release.yml is called ${name}`);
  const lines = (await readFile(join(directory, "variables"), "utf8")).split("\n").filter((line) => line !== "");
  const set = Object.fromEntries(lines.map((line) => line.split("=", 2)));
  const args = ["-c", 'cd "$1" && exec bash --noprofile --norc -eo pipefail -c "$2"', "sh", directory, script];
  return scene.run("sh", args, { ...variables, GITHUB_REF_NAME: tag, ...set });
}

const push = (tag: string) => step("Push without tags, unless the version is another image already", tag);

async function tags(of: "IMAGE" | "CHARTS" = "IMAGE"): Promise<string[]> {
  const name = variables[of] ?? "";
  return (await crane("ls", of === "IMAGE" ? name : `${name}/kms-vault-operator`)).trim().split("\n");
}

test("what is pushed has no tag until the last step, which tags image, parts and chart", async () => {
  expect(await push("v1.10.0")).toMatchObject({ ok: true });
  expect(await tags()).toEqual([""]);
  expect(await tags("CHARTS")).toEqual([""]);
  expect(await step("Tag", "v1.10.0")).toMatchObject({ ok: true });
  const expected = { "v1.10.0": "both", latest: "both", "v1.10.0-amd64": "amd64", "v1.10.0-arm64": "arm64" } as const;
  expect((await tags()).toSorted()).toEqual(Object.keys(expected).toSorted());
  for (const [tag, part] of Object.entries(expected)) {
    expect((await crane("digest", `${variables["IMAGE"]}:${tag}`)).trim()).toBe(digests[part]);
  }
  expect(await tags("CHARTS")).toEqual(["1.10.0"]);
});

test.each(["v1.9.0", "v2.0.0-rc.1"])("latest stays where it is when %s is released", async (tag) => {
  await push(tag);
  expect(await step("Tag", tag)).toMatchObject({ ok: true });
  expect(await tags()).toContain(tag);
  expect(await tags()).not.toContain("latest");
});

test("a version that is another image already is not released", async () => {
  await crane("copy", `${scene.name}:amd64`, `${variables["IMAGE"]}:v1.10.0`);
  const { ok, stdout } = await push("v1.10.0");
  expect(ok).toBe(false);
  expect(stdout).toContain(`${variables["IMAGE"]}:v1.10.0 is ${digests.amd64} already, and stays so`);
  await expect(crane("digest", `${variables["IMAGE"]}@${digests.both}`)).rejects.toThrow("MANIFEST_UNKNOWN");
});

test("the same image may be released again: a run that failed half-way is repeated", async () => {
  for (let run = 0; run < 2; run++) {
    expect(await push("v1.10.0")).toMatchObject({ ok: true });
    expect(await step("Tag", "v1.10.0")).toMatchObject({ ok: true });
  }
});

test("a registry that does not answer is not taken for one without the version", async () => {
  variables["IMAGE"] = `127.0.0.1:${await freePort()}/kms-vault-operator`;
  const { ok, stdout } = await push("v1.10.0");
  expect(ok).toBe(false);
  expect(stdout).toContain("connection refused");
});
