import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bundledPackages, nodeLicence } from "./bundled.ts";

const root = join(import.meta.dirname, "..", "..");

test("packages are found from the files that the bundler names, each once, with licence and texts", () => {
  const sources = [
    "src/cli/main.ts",
    "node_modules/zod/v4/core/api.js",
    "node_modules/zod/index.js",
    "node_modules/@aws-sdk/client-kms/dist-es/index.js",
  ];
  const packages = bundledPackages(root, sources);
  expect(packages.map(({ name, licence }) => [name, licence])).toEqual([
    ["@aws-sdk/client-kms", "Apache-2.0"],
    ["zod", "MIT"],
  ]);
  expect(packages[0]?.purl).toMatch(/^pkg:npm\/%40aws-sdk\/client-kms@\d/);
  for (const { texts } of packages) expect(texts.join("")).toContain("icense");
});

test("a bundle that seems to hold no package fails the build", () => {
  expect(() => bundledPackages(root, ["src/cli/main.ts"])).toThrow("not understood");
});

test("a file's package is the innermost one", () => {
  expect(() => bundledPackages(root, ["node_modules/zod/node_modules/gone/index.js"])).toThrow("zod/node_modules/gone");
});

test("the licence of Node.js names what is built into it", () => {
  expect(nodeLicence(root)).toContain("OpenSSL");
});

test("a Node.js without its licence fails the build", () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "bundled-"));
  try {
    mkdirSync(join(elsewhere, "node_modules"));
    mkdirSync(join(elsewhere, "bin"));
    const node = join(elsewhere, "bin", "node");
    writeFileSync(node, "");
    expect(() => nodeLicence(elsewhere, node)).toThrow("Node.js came without its licence");
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});
