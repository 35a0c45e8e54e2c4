// Lists of contents as CycloneDX 1.6 JSON, written by the format's own library.
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { type Component, type Inventory, sorted } from "./component.ts";
import { repository } from "./names.ts";

const types: Readonly<Record<Component["kind"], Enums.ComponentType>> = {
  npm: Enums.ComponentType.Library,
  deb: Enums.ComponentType.Library,
  node: Enums.ComponentType.Platform,
  image: Enums.ComponentType.Container,
};

/** The list as text. The same contents give the same text: it has no serial number and no time but the commit's. */
export function writeCycloneDx({ subject, components, made }: Inventory): string {
  const described = componentOf(subject);
  described.externalReferences.add(new Models.ExternalReference(repository, Enums.ExternalReferenceType.VCS));
  const listed = sorted(components).map(componentOf);
  for (const component of listed) described.dependencies.add(component.bomRef);
  const bom = new Models.Bom({
    version: 1,
    metadata: new Models.Metadata({ component: described, ...(made && { timestamp: made }) }),
    components: new Models.ComponentRepository(listed),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}

/**
 * What a list holds, besides what it is about; the operator that it is about is taken along as one of them.
 * @param text a list as written above
 * @throws Error when the text is no such list
 */
export function readCycloneDx(text: string): Component[] {
  const { bomFormat, metadata, components } = JSON.parse(text);
  if (bomFormat !== "CycloneDX" || !Array.isArray(components)) throw new Error("not a CycloneDX list of components");
  return [metadata.component, ...components].map(({ group, name, version, purl, licenses }) => ({
    name: group === undefined ? name : `${group}/${name}`,
    version,
    kind: "npm",
    purl,
    licence: licenses?.[0]?.expression ?? licenses?.[0]?.license?.id,
  }));
}

function componentOf({ name, version, kind, purl, cpe, licence }: Component): Models.Component {
  const [, group, bare] = /^(?:(@[^/]+)\/)?(.+)$/.exec(name) ?? [];
  return new Models.Component(types[kind], bare ?? name, {
    bomRef: purl,
    version,
    purl,
    ...(cpe !== undefined && { cpe }),
    ...(group !== undefined && { group }),
    licenses: new Models.LicenseRepository(licence === undefined ? [] : [licenceOf(licence)]),
  });
}

function licenceOf(licence: string): Models.License {
  return /[ ()]/.test(licence) ? new Models.LicenseExpression(licence) : new Models.SpdxLicense(licence);
}
