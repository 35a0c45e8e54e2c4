import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
const libc6 = "Package: libc6\nStatus: install ok installed\nVersion: 2.41-12\nArchitecture: arm64\n";
const whole = {
  "app/dist/kms-vault-operator.cdx.json": bundle,
  "etc/os-release": 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="13"\n',
  "var/lib/dpkg/status": `${libc6}\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n`,
};

/** A root file system; its Node.js is the one that runs the test. */
function rootFs(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "root-fs-"));
  directories.push(directory);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  mkdirSync(join(directory, "nodejs", "bin"), { recursive: true });
  symlinkSync(process.execPath, join(directory, "nodejs", "bin", "node"));
  return directory;
}

test("an image's components are the operator's, Node.js by the version in its program, and installed Debian packages", () => {
  const components = inventoryOf(rootFs(whole));
  expect(components.map(({ kind, name, version, licence }) => [kind, name, version, licence])).toEqual([
    ["npm", "kms-vault-operator", "1.0.0", "Apache-2.0"],
    ["npm", "@scope/two", "1.0.0", "(MIT OR ISC)"],
    ["npm", "zod", "1.0.0", "MIT"],
    ["node", "node", process.versions.node, "MIT"],
    ["deb", "libc6", "2.41-12", undefined],
  ]);
  expect(components.at(-1)?.purl).toBe("pkg:deb/debian/libc6@2.41-12?arch=arm64&distro=debian-13");
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
