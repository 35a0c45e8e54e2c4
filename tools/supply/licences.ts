// What we may ship: packages under licences that ask for no more than their text and notices to be passed on, which the
// report does. A licence that nobody has looked at yet fails the build, before it is in anybody's image.
import satisfies from "spdx-satisfies";
import { type LicensedComponent, sorted } from "./component.ts";

/** Licences of the packages that may be in the bundle. Add one only after reading what it asks for. */
const allowed = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "ISC", "MIT"];

/**
 * Checks every component's licence against the list.
 * @throws Error with a line for each that is not on it
 */
export function checkLicences(components: readonly LicensedComponent[]): void {
  const problems = components.flatMap(({ name, version, licence }) =>
    isAllowed(licence) ? [] : [`${name} ${version} is under ${licence ?? "no licence that it names"}`],
  );
  if (problems.length > 0) {
    throw new Error(
      `${problems.join("\n")}\nallowed are ${allowed.join(", ")}: take another package, or add the licence to tools/supply/licences.ts`,
    );
  }
}

function isAllowed(licence: string | undefined): boolean {
  if (licence === undefined) return false;
  try {
    return satisfies(licence, allowed);
  } catch {
    // Not an SPDX expression ("SEE LICENSE IN …"): as unknown as any that is not on the list.
    return false;
  }
}

/**
 * The report: which packages there are, then each licence text once, under the packages that came with it.
 * @param node the licence of Node.js
 */
export function licenceReport(components: readonly LicensedComponent[], node: string): string {
  const all = sorted(components);
  const list = all.map((component) => `  ${titleOf(component)}  ${component.licence}`);
  const owners = new Map<string, string[]>();
  for (const component of all) {
    for (const text of component.texts) {
      const key = normalised(text);
      owners.set(key, [...(owners.get(key) ?? []), titleOf(component)]);
    }
  }
  const without = all.filter(({ texts }) => texts.length === 0).map(titleOf);
  const sections = [...owners].map(([text, titles]) => section(titles, text));
  if (without.length > 0) sections.push(section(without, noText));
  sections.push(section(["Node.js, which runs the program"], normalised(node)));
  return `${introduction}\n\n${list.join("\n")}\n${sections.join("")}`;
}

const introduction = `kms-vault-operator is under the Apache License 2.0. Its program, dist/kms-vault-operator.js with dist/chunks/, contains
code of the following packages. Their licences follow, then that of Node.js. In the image, the packages of the base are
under the licences in /usr/share/doc/*/copyright.`;
const noText = "These packages came without a licence text. Each is under the licence that it names in the list above.";
const rule = "-".repeat(80);

function titleOf({ name, version }: LicensedComponent): string {
  return `${name} ${version}`;
}

function section(titles: readonly string[], text: string): string {
  return `\n${rule}\n${titles.join("\n")}\n${rule}\n\n${text}\n`;
}

/** Texts that differ in line ends or blank space around them are one. */
function normalised(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replaceAll(/[ \t]+$/gm, "")
    .replace(/^\n+|\n+$/g, "");
}
