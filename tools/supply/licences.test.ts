import { expect, test } from "vitest";
import { type LicensedComponent, npmPurl } from "./component.ts";
import { checkLicences, licenceReport } from "./licences.ts";

function under(licence: string, texts: readonly string[] = [], name = "some-package"): LicensedComponent {
  return { name, version: "1.2.3", kind: "npm", purl: npmPurl(name, "1.2.3"), licence, texts };
}

test.each(["MIT", "(MIT OR GPL-3.0-only)", "MIT AND BSD-3-Clause", "(BSD-2-Clause OR MIT OR Apache-2.0)"])(
  "%s may be shipped",
  (licence) => expect(() => checkLicences([under(licence)])).not.toThrow(),
);

test.each(["GPL-3.0-only", "MIT AND GPL-3.0-only", "BUSL-1.1", "UNLICENSED", "SEE LICENSE IN LICENSE.md", ""])(
  "a package under %j fails the build, by its name",
  (licence) => {
    expect(() => checkLicences([under("MIT"), under(licence, [], "odd")])).toThrow(`odd 1.2.3 is under ${licence}`);
  },
);

test("the report names every package, and has each text once, below those that came with it", () => {
  const apache = "Apache License\n  terms";
  const report = licenceReport(
    [
      under("MIT", ["MIT of a"], "a"),
      under("Apache-2.0", [apache], "b"),
      under("Apache-2.0", [`\r\n${apache} \r\n`], "c"),
    ],
    "licence of Node.js",
  );
  expect(report).toContain("  a 1.2.3  MIT\n  b 1.2.3  Apache-2.0\n  c 1.2.3  Apache-2.0\n");
  expect(report).toContain("\na 1.2.3\n----");
  expect(report).toContain("\nb 1.2.3\nc 1.2.3\n----");
  expect(report.split(apache)).toHaveLength(2);
  expect(report.trimEnd().endsWith("licence of Node.js")).toBe(true);
});

test("the report says of a package without a text that it came without", () => {
  expect(licenceReport([under("MIT")], "licence of Node.js")).toMatch(
    /some-package 1\.2\.3\n-+\n\nThese packages came without/,
  );
});
