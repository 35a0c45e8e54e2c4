// What an image holds, read from its root file system rather than from the plan of its build: the base's Debian packages
// as dpkg has them, Node.js as it calls itself, and the operator's packages as its build listed them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
 * @throws Error when one of the three parts is not there: a list that leaves out a part would be believed
 */
export function inventoryOf(root: string): Component[] {
  return [...operatorPackages(root), nodeOf(root), ...debianPackages(root)];
}

function operatorPackages(root: string): Component[] {
  const file = join(root, inventoryPaths.bundle);
  if (!existsSync(file))
    throw new Error(`the image has no /${inventoryPaths.bundle}: it is not an image of the operator`);
  return readCycloneDx(readFileSync(file, "utf8"));
}

/** Node.js carries the address of its own source. */
function nodeOf(root: string): Component {
  const file = join(root, inventoryPaths.node);
  if (!existsSync(file)) throw new Error(`the image has no /${inventoryPaths.node}`);
  const version = /\/download\/release\/v(\d+\.\d+\.\d+)\/node-v/.exec(readFileSync(file, "latin1"))?.[1];
  if (version === undefined) throw new Error(`/${inventoryPaths.node} of the image does not tell its version`);
  return { kind: "node", name: "node", version, purl: `pkg:generic/node@${version}`, licence: "MIT" };
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
  const whole = join(root, inventoryPaths.dpkgStatus);
  const directory = join(root, inventoryPaths.dpkgStatusDirectory);
  const files = existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => !name.endsWith(".md5sums"))
        .toSorted()
        .map((name) => join(directory, name))
    : [];
  return [...(existsSync(whole) ? [whole] : []), ...files].map((file) => readFileSync(file, "utf8"));
}

/** What dpkg says of one package; nothing when it has been removed and left its configuration only. */
function debianPackage(entry: string, distribution: string): Component[] {
  const field = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(entry)?.[1]?.trim();
  const [name, version, architecture] = [field("Package"), field("Version"), field("Architecture")];
  if (name === undefined || version === undefined) return [];
  if (/ (config-files|not-installed)$/.test(field("Status") ?? "")) return [];
  const qualifiers = [...(architecture ? [`arch=${architecture}`] : []), `distro=${distribution}`].join("&");
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers}`;
  return [{ kind: "deb", name, version, purl }];
}

function distributionOf(root: string): string {
  const file = [inventoryPaths.osRelease, inventoryPaths.osReleaseFile]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  if (file === undefined)
    throw new Error("the image has no /etc/os-release: nobody can tell which Debian its packages are of");
  const text = readFileSync(file, "utf8");
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]+)"?$`, "m").exec(text)?.[1] ?? "unknown";
  return `${value("ID")}-${value("VERSION_ID")}`;
}
