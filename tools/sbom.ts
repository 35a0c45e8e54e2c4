// `node tools/sbom.ts IMAGE [--platform linux/arm64] [--name NAME] [--output DIRECTORY]`: writes what an image in a registry
// holds, as SPDX and as CycloneDX, and prints the digest that this is true of: of an image for several platforms, one part.
// Read from the image itself. NAME is what the image is called in the lists, when it is still to be pushed there.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Component } from "./supply/component.ts";
import { writeCycloneDx } from "./supply/cyclonedx.ts";
import { describeImage, type Image, imageTool, madeAt, unpackInventory } from "./supply/image.ts";
import { inventoryOf } from "./supply/root-fs.ts";
import { writeSpdx } from "./supply/spdx.ts";

const usage = "node tools/sbom.ts IMAGE [--platform linux/amd64] [--name NAME] [--output DIRECTORY]";

await imageTool(usage, async (crane) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      platform: { type: "string", default: "linux/amd64" },
      name: { type: "string" },
      output: { type: "string", default: "." },
    },
  });
  const [reference] = positionals;
  if (!reference || positionals.length > 1) return false;
  const source = { crane, reference, platform: values.platform };
  const image = await describeImage(source);
  await using files = await unpackInventory({ ...source, reference: `${image.name}@${image.digest}` });
  const subject = subjectOf({ ...image, name: values.name ?? image.name });
  const inventory = { subject, components: inventoryOf(files.directory), made: madeAt(image) };
  mkdirSync(values.output, { recursive: true });
  for (const [ending, write] of [["spdx.json", writeSpdx] as const, ["cdx.json", writeCycloneDx] as const]) {
    const file = join(values.output, `image.${ending}`);
    writeFileSync(file, write(inventory));
    process.stdout.write(`${file}: ${inventory.components.length} components of ${subject.name}@${image.digest}\n`);
  }
  return true;
});

function subjectOf({ name, digest }: Image): Component {
  const last = name.slice(name.lastIndexOf("/") + 1);
  const purl = `pkg:oci/${last}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(name)}`;
  return { kind: "image", name, version: digest, purl };
}
