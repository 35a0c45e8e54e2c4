// `node tools/image/local-base.ts`: makes stand-ins for the two images that the Dockerfile begins with, from Debian's packages
// and npm's, for machines that reach no registry of images; prints them as arguments for this machine's platform:
// `make image $(node tools/image/local-base.ts)`. The base holds what the distroless one does, and no more.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, cacheRoot, platform } from "../toolchain/cache.ts";
import { type Progress, timedProgress } from "../toolchain/progress.ts";
import { lastLines, run } from "../toolchain/run.ts";
import { writeArchive } from "./oci.ts";

/** OCI archives, each of one platform. */
export interface LocalBase {
  /** In place of gcr.io/distroless/nodejs24-debian13:nonroot. */
  readonly base: Readonly<Record<Architecture, string>>;
  /** In place of an official Node image with npm and a shell, for this machine's platform. */
  readonly build: string;
}

const suite = "trixie";
const npm = {
  name: "npm",
  version: "11.21.2",
  integrity: "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
};
const runtimePackages = ["base-files", "ca-certificates", "libc6", "libgcc-s1", "libstdc++6", "netbase", "tzdata"];
const buildPackages = [...runtimePackages, "coreutils", "dash", "findutils"];
/** Of Debian's names, and of those of npm's packages of Node. */
const architectures = { amd64: "x64", arm64: "arm64" } as const;
type Architecture = keyof typeof architectures;

const ownArchitecture: Architecture = process.arch === "arm64" ? "arm64" : "amd64";
const root = join(import.meta.dirname, "..", "..");

/**
 * The images, from the cache or made anew (half a minute).
 * @throws Error that says which program or package is missing
 */
export async function localBase(progress: Progress): Promise<LocalBase> {
  const files = ["local-base.ts", "oci.ts"].map((file) => readFileSync(join(import.meta.dirname, file), "utf8"));
  const pins = Object.keys(architectures).map((architecture) =>
    JSON.stringify(pinnedNode(architecture as Architecture)),
  );
  const hash = createHash("sha256")
    .update([...files, ...pins].join("\n"))
    .digest("hex")
    .slice(0, 12);
  const directory = await cached(
    {
      root: cacheRoot(process.env),
      name: `image-base-${hash}-${platform()}`,
      isComplete: (at) => existsSync(join(at, "build.tar")),
      fill: (at) => fill(at, progress),
    },
    progress,
  );
  const archive = (name: string) => join(directory, `${name}.tar`);
  return { base: { amd64: archive("base-amd64"), arm64: archive("base-arm64") }, build: archive("build") };
}

async function fill(directory: string, progress: Progress): Promise<void> {
  progress("base images: made of Debian's and npm's packages, about half a minute");
  const scratch = join(directory, "scratch");
  await mkdir(scratch);
  for (const architecture of ["amd64", "arm64"] as const) {
    const made = join(scratch, architecture);
    await extract(made, architecture, runtimePackages);
    await makeDistroless(made);
    await addNode(made, architecture, join(scratch, `node-${architecture}`));
    const config = { ...environment, User: "65532", WorkingDir: "/home/nonroot" };
    await writeArchive(join(directory, `base-${architecture}.tar`), { architecture, root: made, config });
  }
  const build = join(scratch, "build");
  await extract(build, ownArchitecture, buildPackages);
  await addAuthorities(build);
  await addNode(build, ownArchitecture, join(scratch, "node-build"));
  await addNpm(build, join(scratch, "npm"));
  await writeArchive(join(directory, "build.tar"), { architecture: ownArchitecture, root: build, config: environment });
  await rm(scratch, { recursive: true });
}

const environment = {
  Env: [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/nodejs/bin",
    "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
  ],
};

/** Unpacks packages without running anything of them, so that those of any architecture will do. */
async function extract(into: string, architecture: Architecture, packages: readonly string[]): Promise<void> {
  const what = [`--architectures=${architecture}`, `--include=${packages.join(",")}`];
  await must("mmdebstrap", ["--variant=extract", "--quiet", ...what, `--extract-hook=${listPackages}`, suite, into]);
  // Devices are the container's; who is not root could not even unpack them.
  await empty(join(into, "dev"));
}

async function empty(directory: string): Promise<void> {
  await rm(directory, { recursive: true });
  await mkdir(directory);
}

/** Notes what is installed as distroless images do, a file for each package: scanners and our own lists read it. */
const listPackages = `mkdir -p "$1/var/lib/dpkg/status.d"; for deb in "$1"/var/cache/apt/archives/*.deb; do
  dpkg-deb --field "$deb" >"$1/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"; done`;

/** Takes away programs, package manager and documentation, and adds the certificates and the user. */
async function makeDistroless(at: string): Promise<void> {
  await addAuthorities(at);
  for (const emptied of ["usr/bin", "usr/sbin"]) await empty(join(at, emptied));
  const unwanted = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/available",
    "var/lib/dpkg/info",
    "var/lib/apt",
    "var/cache",
    "etc/apt",
    "usr/share/man",
    "usr/share/locale",
  ];
  const more = ["usr/share/debconf", "usr/share/perl5", "usr/lib/apt", "usr/share/bug", "usr/share/lintian"];
  for (const name of [...unwanted, ...more]) await rm(join(at, name), { recursive: true, force: true });
  await writeFile(
    join(at, "etc", "passwd"),
    "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
  );
  await writeFile(join(at, "etc", "group"), "root:x:0:\nnonroot:x:65532:\n");
  await writeFile(join(at, "etc", "nsswitch.conf"), "hosts: files dns\n");
  await mkdir(join(at, "home", "nonroot"), { recursive: true });
}

/** What ca-certificates' own script would do. */
async function addAuthorities(at: string): Promise<void> {
  const directory = join(at, "usr", "share", "ca-certificates", "mozilla");
  const files = (await readdir(directory)).toSorted();
  const certificates = await Promise.all(files.map((file) => readFile(join(directory, file), "utf8")));
  await writeFile(join(at, "etc", "ssl", "certs", "ca-certificates.crt"), certificates.join(""));
}

async function addNode(at: string, architecture: Architecture, scratch: string): Promise<void> {
  const unpacked = await unpack(pinnedNode(architecture), scratch);
  await mkdir(join(at, "nodejs", "bin"), { recursive: true });
  await cp(join(unpacked, "bin", "node"), join(at, "nodejs", "bin", "node"));
}

async function addNpm(at: string, scratch: string): Promise<void> {
  const unpacked = await unpack(npm, scratch);
  const place = join(at, "usr", "local", "lib", "node_modules", "npm");
  await cp(unpacked, place, { recursive: true });
  await mkdir(join(at, "usr", "local", "bin"), { recursive: true });
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(at, "usr", "local", "bin", "npm"));
  await symlink("/nodejs/bin/node", join(at, "usr", "local", "bin", "node"));
}

interface Pinned {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

/** Downloads a package of npm's, checks it, and unpacks it. @returns the directory of its files */
async function unpack({ name, version, integrity }: Pinned, scratch: string): Promise<string> {
  await mkdir(scratch);
  await must("npm", ["pack", "--silent", `--pack-destination=${scratch}`, `${name}@${version}`]);
  const archive = join(scratch, `${name}-${version}.tgz`);
  const found = `sha512-${createHash("sha512")
    .update(await readFile(archive))
    .digest("base64")}`;
  if (found !== integrity) throw new Error(`${name}@${version} has the digest ${found}; ${integrity} is expected`);
  await must("tar", ["-xzf", archive, "-C", scratch, "--no-same-owner"]);
  return join(scratch, "package");
}

/** The Node that package-lock.json pins for that platform. */
function pinnedNode(architecture: Architecture): Pinned {
  const name = `node-linux-${architectures[architecture]}`;
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Omit<Pinned, "name">>>;
  };
  const pinned = packages[`node_modules/${name}`];
  if (pinned === undefined) throw new Error(`package-lock.json does not pin ${name}`);
  return { name, version: pinned.version, integrity: pinned.integrity };
}

async function must(program: string, args: readonly string[]): Promise<void> {
  const { ok, output, missing } = await run(program, args, { timeoutMs: 300_000 });
  if (missing) throw new Error(`${program} is not installed; on Debian: apt-get install ${program}`);
  if (!ok) throw new Error(`${program} ${args.join(" ")} failed:\n${lastLines(output)}`);
}

if (import.meta.main) {
  const { base, build } = await localBase(timedProgress(process.stderr));
  process.stdout.write(`BASE_IMAGE=oci-archive:${base[ownArchitecture]} BUILD_IMAGE=oci-archive:${build}\n`);
}
