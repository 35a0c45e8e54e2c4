// docs/concepts/threat-model.md promises that a test stands behind each claim: the tests that it names exist, and what is
// tested of security is claimed there.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(root, "docs/concepts/threat-model.md"), "utf8");
/** Paths, in which * stands for any run of characters inside a segment. */
const named = new Set(page.match(/\btest\/[a-z]+\/[a-z0-9*-]+\.test\.ts/g));
/** How tests are named whose behaviour is one of security. */
const ofSecurity =
  /^(tenancy|policy|bound|forged|no-secrets|rbac|service-account|webhook|vault-(namespaces|redirects|tls|trust)\.)/;

function filesOf(pattern: string): string[] {
  return globSync(pattern, { cwd: root });
}

test.each([...named])("%s is there", (pattern) => {
  expect(filesOf(pattern)).not.toEqual([]);
});

test("every claim in the table names a test", () => {
  const [, table = ""] = /## What is defended\n([^#]*)\n## /.exec(page) ?? [];
  const claims = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| Claim"));
  expect(claims.length).toBeGreaterThan(10);
  for (const claim of claims) expect(claim).toMatch(/`test\/[^`]+\.test\.ts`/);
});

test("every integration test that is named after security is named there", () => {
  const mentioned = new Set([...named].flatMap(filesOf));
  const tests = filesOf("test/integration/*.test.ts").filter((file) => ofSecurity.test(basename(file)));
  expect(tests.length).toBeGreaterThan(5);
  expect(tests.filter((file) => !mentioned.has(file))).toEqual([]);
});
