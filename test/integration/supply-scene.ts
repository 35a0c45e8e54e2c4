// A registry on loopback with a small image in it that has what an image of the operator is recognised by: the list that
// the build made of its bundle, a Node.js, Debian's packages, and the labels that name its commit.
import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { freePort } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";

const execute = promisify(execFile);

/** The repository. */
export const root = join(import.meta.dirname, "..", "..");

/** What became of a program. */
export interface Ran {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** A registry and the programs to use it with. */
export interface SupplyScene extends AsyncDisposable {
  /** For files; gone with the scene. */
  readonly directory: string;
  /** `127.0.0.1:<port>/kms-vault-operator` */
  readonly name: string;
  /** The commit that the images name. */
  readonly commit: string;
  readonly programs: Readonly<Record<"crane" | "cosign" | "supply-python", string>>;
  /** Pushes an image whose only difference from others is the given word. @returns its name with its digest */
  push(tag: string, word: string, architecture?: "amd64" | "arm64"): Promise<string>;
  /** Runs one of the programs, or Node, in the scene's directory; it gets the given variables and no home but that. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
}

/** Starts the registry. The programs are built at their first use, cosign in two to three minutes. */
export async function startSupplyScene(): Promise<SupplyScene> {
  const programs = await resolveToolchain(["crane", "cosign", "supply-python"], timedProgress(process.stderr));
  const group = await ProcessGroup.create();
  try {
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    await group.start({
      name: "registry",
      program: programs.crane,
      args: ["registry", "serve", "--address", address],
      ready: async () => (await fetch(`http://${address}/v2/`)).ok,
    });
    const { directory } = group;
    const { stdout } = await execute("git", ["rev-parse", "HEAD"], { cwd: root });
    const scene: SupplyScene = {
      directory,
      name: `${address}/kms-vault-operator`,
      commit: stdout.trim(),
      programs,
      push: (tag, word, architecture = "amd64") => push(scene, tag, word, architecture),
      run: (program, args, env = {}) => run(directory, program, args, env),
      [Symbol.asyncDispose]: () => group.stop(),
    };
    return scene;
  } catch (error) {
    await group.stop();
    throw error;
  }
}

async function push(scene: SupplyScene, tag: string, word: string, architecture: string): Promise<string> {
  const files = join(scene.directory, `image-${tag}`);
  await writeFiles(files, {
    "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    // The real one is 120 MB; tools/supply/root-fs.test.ts reads that.
    "nodejs/bin/node": "… https://nodejs.org/download/release/v24.21.0/node-v24.21.0.tar.gz …",
    "var/lib/dpkg/status.d/libc6": `Package: libc6\nSource: glibc\nVersion: 2.41-12+deb13u3\nArchitecture: ${architecture}\n`,
    "var/lib/dpkg/status.d/libc6.md5sums": "d41d8cd98f00b204e9800998ecf8427e  lib/libc.so.6\n",
    "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 13.8\nArchitecture: amd64\n",
    word,
  });
  await mkdir(join(files, "app", "dist"), { recursive: true });
  const list = "app/dist/kms-vault-operator.cdx.json";
  await copyFile(join(root, "dist", "kms-vault-operator.cdx.json"), join(files, list));
  const layer = join(scene.directory, `${tag}.tar`);
  const fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await execute("tar", [...fixed, "-cf", layer, "-C", files, "."]);
  const { crane } = scene.programs;
  const reference = `${scene.name}:${tag}`;
  await execute(crane, ["append", "--new_layer", layer, "--new_tag", reference]);
  const labels = [`GIT_COMMIT=${scene.commit}`, "COMMIT_TIMESTAMP=2026-01-02T03:04:05Z"];
  await execute(crane, [
    "mutate",
    reference,
    ...labels.flatMap((label) => ["--label", label]),
    "--set-platform",
    `linux/${architecture}`,
    "--tag",
    reference,
  ]);
  return `${scene.name}@${(await execute(crane, ["digest", reference])).stdout.trim()}`;
}

async function writeFiles(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(directory, path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, text);
  }
}

async function run(
  directory: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  const home = { PATH: process.env["PATH"], HOME: directory, XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] };
  const options = { cwd: directory, env: { ...home, ...env }, timeout: 100_000, maxBuffer: 64 * 1024 * 1024 };
  try {
    return { ok: true, ...(await execute(program, args, options)) };
  } catch (error) {
    const { stdout = "", stderr = String(error) } = error as Partial<Ran>;
    return { ok: false, stdout, stderr };
  }
}
