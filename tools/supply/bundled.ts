// Which npm packages code of the bundle comes from, with their licences. Taken from what the bundler says it put in, not
// from what is installed: most of what is installed is never shipped.
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Component, type LicensedComponent, npmPurl, sorted } from "./component.ts";

interface PackageJson {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
}

const licenceFile = /^(licen[cs]e|notice|copying)([.-].*)?$/i;

/**
 * The packages that the given files belong to, each version once.
 * @param root the repository
 * @param sources files as the bundler names them, relative to the repository; those outside node_modules are ours
 * @throws Error when a file's package says no name, version or licence
 */
export function bundledPackages(root: string, sources: readonly string[]): LicensedComponent[] {
  const directories = new Set(
    sources.flatMap((source) => /^.*node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(source)?.[0] ?? []),
  );
  if (directories.size === 0)
    throw new Error("no file of the bundle is of a package: the bundler's list is not understood");
  const byPurl = new Map<string, LicensedComponent>();
  for (const directory of directories) {
    const found = readPackage(join(root, directory));
    byPurl.set(found.purl, found);
  }
  return sorted([...byPurl.values()]);
}

/** The operator itself. */
export function ownPackage(root: string): Component {
  return readPackage(root);
}

/**
 * The licence of Node.js (with those of everything built into it), as the package or the directory that the running Node
 * comes from has it.
 * @param node the program that runs
 * @throws Error when it came without: the licence asks to be passed on
 */
export function nodeLicence(root: string, node: string = process.execPath): string {
  const modules = join(root, "node_modules");
  const packaged = readdirSync(modules).filter((name) => /^node-(linux|darwin)-/.test(name));
  const places = [...packaged.map((name) => join(modules, name)), dirname(dirname(realpathSync(node)))];
  const file = places.map((place) => join(place, "LICENSE")).find((path) => existsSync(path));
  if (file === undefined)
    throw new Error(`Node.js came without its licence: there is no LICENSE in ${places.join(", ")}`);
  return readFileSync(file, "utf8");
}

function readPackage(directory: string): LicensedComponent {
  const file = join(directory, "package.json");
  const { name, version, license } = JSON.parse(readFileSync(file, "utf8")) as PackageJson;
  if (name === undefined || version === undefined || typeof license !== "string") {
    throw new Error(`${file} must say name, version and license (an SPDX expression): what is shipped has to be known`);
  }
  const texts = readdirSync(directory)
    .filter((entry) => licenceFile.test(entry))
    .toSorted()
    .map((entry) => readFileSync(join(directory, entry), "utf8"));
  return { name, version, kind: "npm", purl: npmPurl(name, version), licence: license, texts };
}
