// What an image holds, read from its root file system rather than from the plan of its build: the base's Debian packages
// as dpkg has them, Node.js as it calls itself, and the operator's packages as its build listed them. All three are the
// image's own words: of an image that somebody else built, the list is worth what they are.
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import type { Component } from "./component.ts";
import { readCycloneDx } from "./cyclonedx.ts";
import { bundleBom } from "./names.ts";

/** Where an image has what is read here, relative to its root. */
export const inventoryPaths = {
  node: "nodejs/bin/node",
  bundle: `app/dist/${bundleBom}`,
  dpkgStatus: "var/lib/dpkg/status",
  /** Distroless images have a file for each package instead, and no dpkg. */
  dpkgStatusDirectory: "var/lib/dpkg/status.d",
  osRelease: "etc/os-release",
  osReleaseFile: "usr/lib/os-release",
} as const;

/**
 * Everything that the image is made of.
 * @param root directory that holds the image's files
 * @throws Error when one of the three parts is not there (a list that leaves out a part would be believed), or is a link out
 * of the image
 */
export function inventoryOf(root: string): Component[] {
  return [...operatorPackages(root), nodeOf(root), ...debianPackages(root)];
}

/** Where a path of the image lies on this machine; undefined when it has none. Links are followed, but not out of it. */
function inImage(root: string, path: string): string | undefined {
  if (!existsSync(join(root, path))) return undefined;
  const found = realpathSync(join(root, path));
  if (!found.startsWith(`${realpathSync(root)}${sep}`)) throw new Error(`/${path} of the image leads out of it`);
  return found;
}

/** The first of the paths that is a file. */
function fileInImage(root: string, ...paths: readonly string[]): string | undefined {
  return paths.map((path) => inImage(root, path)).find((found) => found !== undefined && statSync(found).isFile());
}

function operatorPackages(root: string): Component[] {
  const file = fileInImage(root, inventoryPaths.bundle);
  if (file === undefined)
    throw new Error(`the image has no /${inventoryPaths.bundle}: it is not an image of the operator`);
  return readCycloneDx(readFileSync(file, "utf8"));
}

/** Node.js carries the address of its own source. No kind of package URL is its own: advisories know it by its CPE. */
function nodeOf(root: string): Component {
  const file = fileInImage(root, inventoryPaths.node);
  if (file === undefined) throw new Error(`the image has no /${inventoryPaths.node}`);
  const version = /\/download\/release\/v(\d+\.\d+\.\d+)\/node-v/.exec(readFileSync(file, "latin1"))?.[1];
  if (version === undefined) throw new Error(`/${inventoryPaths.node} of the image does not tell its version`);
  const cpe = `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`;
  return { kind: "node", name: "node", version, purl: `pkg:generic/node@${version}`, cpe, licence: "MIT" };
}

function debianPackages(root: string): Component[] {
  const distribution = distributionOf(root);
  const packages = dpkgTexts(root).flatMap((text) =>
    text.split(/\n{2,}/).flatMap((entry) => debianPackage(entry, distribution)),
  );
  if (packages.length === 0) throw new Error("the image has no list of Debian packages in /var/lib/dpkg");
  return packages;
}

function dpkgTexts(root: string): string[] {
  const directory = inImage(root, inventoryPaths.dpkgStatusDirectory);
  const names = directory === undefined ? [] : readdirSync(directory).filter((name) => !name.endsWith(".md5sums"));
  const paths = names.toSorted().map((name) => join(inventoryPaths.dpkgStatusDirectory, name));
  const files = [inventoryPaths.dpkgStatus, ...paths].map((path) => fileInImage(root, path));
  return files.flatMap((file) => (file === undefined ? [] : [readFileSync(file, "utf8")]));
}

/** What dpkg says of one package; nothing when it has been removed and left its configuration only. */
function debianPackage(entry: string, distribution: string): Component[] {
  const field = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(entry)?.[1]?.trim();
  const [name, version, architecture] = [field("Package"), field("Version"), field("Architecture")];
  if (name === undefined || version === undefined) return [];
  if (/ (config-files|not-installed)$/.test(field("Status") ?? "")) return [];
  const upstream = sourceOf(field("Source"));
  const qualifiers = [
    ...(architecture ? [`arch=${architecture}`] : []),
    `distro=${distribution}`,
    ...(upstream ? [`upstream=${encodeURIComponent(upstream)}`] : []),
  ].join("&");
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers}`;
  return [{ kind: "deb", name, version, purl }];
}

/** Debian's advisories are about source packages. `gcc-14 (14.2.0-19)`: the source may have a version of its own. */
function sourceOf(field: string | undefined): string | undefined {
  const [, name, version] = /^(\S+)(?: \((.+)\))?$/.exec(field ?? "") ?? [];
  return version === undefined ? name : `${name}@${version}`;
}

function distributionOf(root: string): string {
  const file = fileInImage(root, inventoryPaths.osRelease, inventoryPaths.osReleaseFile);
  if (file === undefined)
    throw new Error("the image has no /etc/os-release: nobody can tell which Debian its packages are of");
  const text = readFileSync(file, "utf8");
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]+)"?$`, "m").exec(text)?.[1] ?? "unknown";
  return `${value("ID")}-${value("VERSION_ID")}`;
}
