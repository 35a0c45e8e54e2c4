// `node tools/complete-lock.ts`, after each `npm install <package>`: npm leaves a package for another platform out of
// the lock file when it was not there to be looked at, and `npm ci` then refuses the lock file everywhere. This adds
// what is missing, from what the parent itself says of it; npm checks such an entry by its version alone.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

const file = join(import.meta.dirname, "..", "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
const { packages } = lock;

const systems = ["android", "darwin", "linux", "win32", "freebsd", "openharmony", "aix", "sunos", "netbsd", "openbsd"];
const processors = ["arm64", "x64", "riscv64", "ppc64", "s390x", "loong64", "mips64el", "ia32", "arm", "wasm32"];

let added = 0;
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
  if (path === "") continue;
  for (const [name, range] of Object.entries(optionalDependencies)) {
    if (placesOf(path, name).some((place) => place in packages)) continue;
    const beside = path.slice(0, path.lastIndexOf("node_modules/"));
    packages[`${beside}node_modules/${name}`] = {
      version: range.replace(/^[~^]/, ""),
      ...(dev && { dev }),
      optional: true,
      ...platformOf(name),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).toSorted(([one], [other]) => (one < other ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
process.stdout.write(`package-lock.json: ${added} packages of other platforms added\n`);

/** Where Node looks for a package that the one at `path` needs, nearest first. */
function placesOf(path: string, name: string): string[] {
  const places = [`${path}/node_modules/${name}`];
  for (let at = path.lastIndexOf("node_modules/"); at >= 0; at = path.lastIndexOf("node_modules/", at - 1)) {
    places.push(`${path.slice(0, at)}node_modules/${name}`);
    if (at === 0) break;
  }
  return places;
}

/** The fields by which npm tells whether a package is for this machine, from the words in its name. */
function platformOf(name: string): Pick<LockedPackage, "os" | "cpu" | "libc"> {
  const words = name.slice(name.lastIndexOf("/") + 1).split(/[-.]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  const libc = [
    ...(words.some((word) => word.startsWith("musl")) ? ["musl"] : []),
    ...(words.some((word) => word.startsWith("gnu")) ? ["glibc"] : []),
  ];
  return { ...(os.length > 0 && { os }), ...(cpu.length > 0 && { cpu }), ...(libc.length > 0 && { libc }) };
}
