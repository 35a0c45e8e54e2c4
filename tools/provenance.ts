// `node tools/provenance.ts IMAGE --builder URI --base-image NAME@sha256:…`: writes the SLSA provenance of an image that you
// built yourself: the whole statement (provenance.intoto.json), and what is said in it (provenance.json), in front of which
// `cosign attest` puts the image; and prints the digest that this is true of: of an image for several platforms, one part.
// The provenance of released images is made by GitHub.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeImage, imageTool } from "./supply/image.ts";
import { lockDigest, provenance } from "./supply/provenance.ts";

const usage =
  "node tools/provenance.ts IMAGE --builder URI --base-image NAME@sha256:DIGEST [--build-image NAME@sha256:DIGEST] [--platform linux/amd64] [--output DIRECTORY]";

await imageTool(usage, async (crane) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      builder: { type: "string" },
      "base-image": { type: "string" },
      "build-image": { type: "string" },
      platform: { type: "string", default: "linux/amd64" },
      output: { type: "string", default: "." },
    },
  });
  const [reference] = positionals;
  const { builder, platform, "base-image": baseImage, "build-image": buildImage } = values;
  if (!reference || !builder || !baseImage) return false;
  const image = await describeImage({ crane, reference, platform });
  const lock = await lockDigest(image);
  const statement = provenance({ image, platform, builder, baseImage, lock, ...(buildImage && { buildImage }) });
  mkdirSync(values.output, { recursive: true });
  for (const [name, document] of [
    ["provenance.intoto.json", statement],
    ["provenance.json", statement.predicate],
  ] as const) {
    const file = join(values.output, name);
    writeFileSync(file, `${JSON.stringify(document, undefined, 2)}\n`);
    process.stdout.write(`${file}: of ${image.name}@${image.digest}\n`);
  }
  return true;
});
