// `node tools/provenance.ts IMAGE --builder URI --base-image NAME@sha256:…`: prints the SLSA provenance
// of an image that you built yourself; with --predicate what `cosign attest --type slsaprovenance1` asks for, which puts
// the subject in front of it by itself. The provenance of released images is made by GitHub.
import { parseArgs } from "node:util";
import { describeImage, imageTool } from "./supply/image.ts";
import { lockDigest, provenance } from "./supply/provenance.ts";

const usage =
  "node tools/provenance.ts IMAGE --builder URI --base-image NAME@sha256:DIGEST [--build-image NAME@sha256:DIGEST] [--platform linux/amd64] [--predicate]";

await imageTool(usage, async (crane) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      builder: { type: "string" },
      "base-image": { type: "string" },
      "build-image": { type: "string" },
      platform: { type: "string", default: "linux/amd64" },
      predicate: { type: "boolean", default: false },
    },
  });
  const [reference] = positionals;
  const { builder, platform, "base-image": baseImage, "build-image": buildImage } = values;
  if (reference === undefined || builder === undefined || baseImage === undefined) return false;
  const image = await describeImage({ crane, reference, platform });
  const lock = await lockDigest(image);
  const statement = provenance({ image, platform, builder, baseImage, lock, ...(buildImage && { buildImage }) });
  process.stdout.write(`${JSON.stringify(values.predicate ? statement.predicate : statement, undefined, 2)}\n`);
  return true;
});
