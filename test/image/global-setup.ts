// The image of the working tree, built before its tests: copied into a repository of its own, whose one commit is signed and
// tagged, cloned twice to different places under different umasks, and built from both; once for every platform, once for
// this machine's. The bases are made of packages and come from a registry on loopback, as they would from a real one.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TestProject } from "vitest/node";
import { localBase } from "../../tools/image/local-base.ts";
import { makeImage } from "../../tools/image/make-image.ts";
import { output } from "../../tools/image/output.ts";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { freePort } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";

declare module "vitest" {
  interface ProvidedContext {
    image: BuiltImage;
  }
}

/** What was built, and where. Plain data: it crosses to the test workers. */
export interface BuiltImage {
  /** For files of the tests; gone with them. */
  readonly directory: string;
  /** Of the programs: where images are stored, whose keys are known. */
  readonly env: Readonly<Record<string, string>>;
  readonly crane: string;
  /** The clones that it was built from. */
  readonly clones: readonly [string, string];
  /** OCI archives: for every platform from the first clone; for this machine's from the second. */
  readonly archives: readonly [string, string];
  /** OCI archives of the bases. */
  readonly bases: Readonly<Record<"amd64" | "arm64", string>>;
  /** The files of the image for this machine. */
  readonly root: string;
  /** `127.0.0.1:<port>` */
  readonly registry: string;
  /** What was built from the second clone, in the registry. */
  readonly image: string;
  readonly author: string;
  readonly tag: string;
}

const project = join(import.meta.dirname, "..", "..");
const author = "author@example.com";

/** Builds; the function returned removes everything. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const progress = timedProgress(process.stderr);
  const { crane } = await resolveToolchain(["crane"], progress);
  const bases = await localBase(progress);
  const group = await ProcessGroup.create();
  const env = await programsEnvironment(group.directory);
  const stop = async () => {
    await output("gpgconf", ["--homedir", env["GNUPGHOME"] ?? "", "--kill", "all"]);
    await group.stop();
  };
  try {
    const registry = await startRegistry(group, crane);
    await writeFile(
      env["CONTAINERS_REGISTRIES_CONF"] ?? "",
      `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
    );
    const { clones, tag } = await makeClones(group.directory, env);
    await pushBases(crane, registry, bases);
    progress("image: building it for amd64 and arm64, and once more for this machine, about two minutes");
    const archives = [join(group.directory, "first.tar"), join(group.directory, "second.tar")] as const;
    const from = { baseImage: `${registry}/base:local`, buildImage: `${registry}/build:local`, env };
    const own = process.arch === "x64" ? "amd64" : process.arch;
    const name = "localhost/second:test";
    const platform = "linux/amd64,linux/arm64";
    await Promise.all([
      makeImage({ ...from, root: clones[0], output: archives[0], name: "localhost/first:test", platform }),
      makeImage({ ...from, root: clones[1], output: archives[1], name, platform: `linux/${own}` }),
    ]);
    progress("image: built");
    const root = await mount(name, env);
    const image = `${registry}/second:test`;
    await pushArchive(crane, archives[1], image);
    const { directory } = group;
    provide("image", {
      directory,
      env,
      crane,
      clones,
      archives,
      bases: bases.base,
      root,
      registry,
      image,
      author,
      tag,
    });
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Storage, registries and keys of the tests alone. Buildah runs where the machine allows little. */
async function programsEnvironment(directory: string): Promise<Record<string, string>> {
  const gnupg = join(directory, "gnupg");
  await mkdir(gnupg, { mode: 0o700 });
  const storage = join(directory, "storage.conf");
  const [graph, run] = [join(directory, "storage"), join(directory, "storage.run")];
  await writeFile(storage, `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${run}"\n`);
  const inherited = ["PATH", "HOME", "TMPDIR", "NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "NO_PROXY", "XDG_CACHE_HOME"];
  return {
    ...Object.fromEntries(inherited.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
    CONTAINERS_STORAGE_CONF: storage,
    CONTAINERS_REGISTRIES_CONF: join(directory, "registries.conf"),
    BUILDAH_ISOLATION: "chroot",
    GNUPGHOME: gnupg,
    // No settings of the machine's user, who may sign or hook.
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
  };
}

async function startRegistry(group: ProcessGroup, crane: string): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`;
  await group.start({
    name: "registry",
    program: crane,
    args: ["registry", "serve", "--address", address],
    ready: async () => (await fetch(`http://${address}/v2/`)).ok,
  });
  return address;
}

/** A signed, tagged commit of the working tree, and two clones of it. */
async function makeClones(directory: string, env: NodeJS.ProcessEnv) {
  const origin = join(directory, "origin");
  const listed = await output("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: project,
  });
  const deleted = new Set((await output("git", ["ls-files", "-z", "--deleted"], { cwd: project })).split("\0"));
  for (const file of listed.split("\0").filter((name) => name !== "" && !deleted.has(name))) {
    await mkdir(dirname(join(origin, file)), { recursive: true });
    await copyFile(join(project, file), join(origin, file));
  }
  const identity = `The Author <${author}>`;
  await output("gpg", ["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", identity, "ed25519"], { env });
  const git = (...args: string[]) =>
    output("git", ["-c", "user.name=The Author", "-c", `user.email=${author}`, ...args], { cwd: origin, env });
  const { version } = JSON.parse(await output("git", ["show", "HEAD:package.json"], { cwd: project }));
  const tag = `v${version}`;
  await git("init", "--quiet");
  await git("add", "--all");
  await git("commit", "--quiet", `--gpg-sign=${author}`, "--message=feat: everything");
  await git("tag", tag);
  const clones = [join(directory, "one"), join(directory, "another", "place")] as const;
  for (const [index, umask] of ["022", "077"].entries()) {
    const clone = `umask ${umask} && mkdir -p "$(dirname "$2")" && git clone --quiet "$1" "$2"`;
    await output("sh", ["-c", clone, "sh", origin, clones[index] ?? ""], { env });
  }
  return { clones, tag };
}

/** Puts the bases where a builder gets them by name, for both platforms under one. */
async function pushBases(crane: string, registry: string, { base, build }: Awaited<ReturnType<typeof localBase>>) {
  const parts: string[] = [];
  for (const [architecture, archive] of Object.entries(base)) {
    const part = `${registry}/base:${architecture}`;
    await pushArchive(crane, archive, part);
    parts.push("--manifest", part);
  }
  await output(crane, ["index", "append", ...parts, "--tag", `${registry}/base:local`]);
  await pushArchive(crane, build, `${registry}/build:local`);
}

/** crane pushes a layout that is a directory. */
async function pushArchive(crane: string, archive: string, name: string): Promise<void> {
  const unpack = `set -e; layout=$(mktemp -d); trap 'rm -rf "$layout"' EXIT; tar -xf "$2" -C "$layout"; "$1" push "$layout" "$3"`;
  await output("sh", ["-c", unpack, "sh", crane, archive, name]);
}

async function mount(name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const container = (await output("buildah", ["from", "--pull-never", name], { env })).trim();
  return (await output("buildah", ["mount", container], { env })).trim();
}
