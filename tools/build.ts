// `node tools/build.ts`: makes dist/ anew; bin/kms-vault-operator starts what is in it. Nothing is left of an old build,
// and a build that fails leaves the old one alone.
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { bundle } from "./bundle.ts";

const start = performance.now();
const dist = join(import.meta.dirname, "..", "dist");
const fresh = `${dist}.new`;

await rm(fresh, { recursive: true, force: true });
const { bytes, chunks } = await bundle(fresh);
await rm(dist, { recursive: true, force: true });
await rename(fresh, dist);
const megabytes = (bytes / 1024 / 1024).toFixed(1);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
process.stdout.write(`dist/kms-vault-operator.js: ${megabytes} MB and ${chunks} chunks in ${seconds} s\n`);
