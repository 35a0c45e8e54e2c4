// Lists of contents as SPDX 2.3 JSON, the version that scanners and `cosign attest --type spdxjson` read. No library of
// npm writes it; what we need of it is below, and SPDX's own validator has the last word in the test.
import { createHash } from "node:crypto";
import { type Component, type Inventory, sorted } from "./component.ts";
import { repository } from "./names.ts";

const unknown = "NOASSERTION";
const documentId = "SPDXRef-DOCUMENT";

const purposes: Readonly<Record<Component["kind"], string>> = {
  npm: "LIBRARY",
  deb: "LIBRARY",
  node: "APPLICATION",
  image: "CONTAINER",
};

/**
 * The list as text. The same contents give the same text: the document's name space ends in a digest of them.
 * @throws Error when the inventory has no time, which SPDX asks for
 */
export function writeSpdx({ subject, components, made }: Inventory): string {
  if (made === undefined) throw new Error("an SPDX list needs the time when its subject was made");
  const listed = sorted(components);
  const packages = [subject, ...listed].map(packageOf);
  const digest = createHash("sha256").update(JSON.stringify(packages)).digest("hex");
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: documentId,
    name: `${subject.name} ${subject.version}`,
    documentNamespace: `${repository}/spdx/${digest}`,
    creationInfo: { created: made.toISOString().replace(/\.\d+Z$/, "Z"), creators: ["Tool: kms-vault-operator-sbom"] },
    packages,
    relationships: [
      relationship(documentId, "DESCRIBES", idOf(subject)),
      ...listed.map((component) => relationship(idOf(subject), "CONTAINS", idOf(component))),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function packageOf(component: Component): object {
  return {
    SPDXID: idOf(component),
    name: component.name,
    versionInfo: component.version,
    primaryPackagePurpose: purposes[component.kind],
    downloadLocation: unknown,
    filesAnalyzed: false,
    licenseConcluded: unknown,
    licenseDeclared: component.licence ?? unknown,
    copyrightText: unknown,
    externalRefs: [
      { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: component.purl },
      ...(component.cpe === undefined
        ? []
        : [{ referenceCategory: "SECURITY", referenceType: "cpe23Type", referenceLocator: component.cpe }]),
    ],
  };
}

/** Identifiers may hold letters, digits, dots and hyphens only; the digest keeps those apart that then look alike. */
function idOf({ kind, name, version, purl }: Component): string {
  const readable = `${kind}-${name}-${version}`.replaceAll(/[^A-Za-z0-9.]+/g, "-");
  return `SPDXRef-${readable}-${createHash("sha256").update(purl).digest("hex").slice(0, 8)}`;
}

function relationship(from: string, relationshipType: string, to: string): object {
  return { spdxElementId: from, relationshipType, relatedSpdxElement: to };
}
