// `node tools/build.ts`: makes dist/ anew; bin/kms-vault-operator starts what is in it. Nothing is left of an old build,
// and a build that fails leaves the old one alone. Beside the program lie the licences of what it is made of, and a list
// of it that scanners of images read: nobody can see from a bundle which packages are in it.
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundle } from "./bundle.ts";
import { bundledPackages, nodeLicence, ownPackage } from "./supply/bundled.ts";
import { writeCycloneDx } from "./supply/cyclonedx.ts";
import { checkLicences, licenceReport } from "./supply/licences.ts";
import { bundleBom, licencesFile } from "./supply/names.ts";

const start = performance.now();
const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const fresh = `${dist}.new`;

await rm(fresh, { recursive: true, force: true });
const { bytes, chunks, sources } = await bundle(fresh);
const packages = bundledPackages(root, sources);
checkLicences(packages);
await writeFile(join(fresh, licencesFile), licenceReport(packages, nodeLicence(root)));
await writeFile(join(fresh, bundleBom), writeCycloneDx({ subject: ownPackage(root), components: packages }));
await rm(dist, { recursive: true, force: true });
await rename(fresh, dist);
const megabytes = (bytes / 1024 / 1024).toFixed(1);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
process.stdout.write(`dist/kms-vault-operator.js: ${megabytes} MB and ${chunks} chunks in ${seconds} s\n`);
