import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { npmPurl } from "./component.ts";
import { writeCycloneDx } from "./cyclonedx.ts";
import { inventoryOf } from "./root-fs.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const npm = (name: string) =>
  ({ name, version: "1.0.0", kind: "npm", purl: npmPurl(name, "1.0.0"), licence: "MIT" }) as const;
const bundle = writeCycloneDx({
  subject: { ...npm("kms-vault-operator"), licence: "Apache-2.0" },
  components: [npm("zod"), { ...npm("@scope/two"), licence: "(MIT OR ISC)" }],
});
const libc6 = "Package: libc6\nSource: glibc\nStatus: install ok installed\nVersion: 2.41-12\nArchitecture: arm64\n";
const whole = {
  "nodejs/bin/node": "… https://nodejs.org/download/release/v24.21.0/node-v24.21.0.tar.gz …",
  "app/dist/kms-vault-operator.cdx.json": bundle,
  "etc/os-release": 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="13"\n',
  "var/lib/dpkg/status": `${libc6}\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n`,
};

/** A root file system. */
function rootFs(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "root-fs-"));
  directories.push(directory);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

test("an image's components are the operator's, Node.js by the version in its program, and installed Debian packages", () => {
  const root = rootFs(whole);
  copyFileSync(process.execPath, join(root, "nodejs", "bin", "node"));
  const components = inventoryOf(root);
  expect(components.map(({ kind, name, version, licence }) => [kind, name, version, licence])).toEqual([
    ["npm", "kms-vault-operator", "1.0.0", "Apache-2.0"],
    ["npm", "@scope/two", "1.0.0", "(MIT OR ISC)"],
    ["npm", "zod", "1.0.0", "MIT"],
    ["node", "node", process.versions.node, "MIT"],
    ["deb", "libc6", "2.41-12", undefined],
  ]);
  expect(components.at(-1)?.purl).toBe("pkg:deb/debian/libc6@2.41-12?arch=arm64&distro=debian-13&upstream=glibc");
  expect(components.at(-2)?.cpe).toBe(`cpe:2.3:a:nodejs:node.js:${process.versions.node}:*:*:*:*:*:*:*`);
});

test.each([
  ["", ""],
  ["Source: glibc\n", "&upstream=glibc"],
  ["Source: gcc-14 (14.2.0-19)\n", "&upstream=gcc-14%4014.2.0-19"],
])("a Debian package names its source, which advisories are about: %j", (source, upstream) => {
  const status = `Package: some\n${source}Version: 1\nArchitecture: amd64\n`;
  const components = inventoryOf(rootFs({ ...whole, "var/lib/dpkg/status": status }));
  expect(components.at(-1)?.purl).toBe(`pkg:deb/debian/some@1?arch=amd64&distro=debian-13${upstream}`);
});

test("distroless images have a file for each package", () => {
  const { "var/lib/dpkg/status": _, ...rest } = whole;
  const files = {
    ...rest,
    "var/lib/dpkg/status.d/libc6": libc6,
    "var/lib/dpkg/status.d/libc6.md5sums": "abc  lib/x\n",
  };
  expect(inventoryOf(rootFs(files)).filter(({ kind }) => kind === "deb")).toHaveLength(1);
});

test.each(Object.keys(whole))("an image without %s gets no list: it would leave things out", (missing) => {
  const files = Object.fromEntries(Object.entries(whole).filter(([path]) => path !== missing));
  expect(() => inventoryOf(rootFs(files))).toThrow("the image has no");
});

test("a link inside an image is followed", () => {
  const { "etc/os-release": release, ...rest } = whole;
  const root = rootFs({ ...rest, "usr/lib/os-release": release });
  mkdirSync(join(root, "etc"));
  symlinkSync("../usr/lib/os-release", join(root, "etc", "os-release"));
  expect(inventoryOf(root).at(-1)?.purl).toContain("distro=debian-13");
});

test.each([...Object.keys(whole), "var/lib/dpkg/status.d"])(
  "a link at %s that leads out of the image is not followed: files of this machine are not the image's",
  (path) => {
    const outside = rootFs({ ...whole, "var/lib/dpkg/status.d/libc6": libc6 });
    const root = rootFs(whole);
    rmSync(join(root, path), { force: true });
    symlinkSync(join(outside, path), join(root, path));
    expect(() => inventoryOf(root)).toThrow(`/${path} of the image leads out of it`);
  },
);
