// `node tools/check-architecture.ts`: fails when a file of src breaks an import rule (architecture/rules.ts), and when
// it found no file at all, so that a moved folder cannot make it pass for ever.
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { checkFile } from "./architecture/check.ts";

const source = join(import.meta.dirname, "..", "src");
const files = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.split(sep).join("/"))
  .toSorted();
const violations = files.flatMap((file) => checkFile(file, readFileSync(join(source, file), "utf8")));

for (const { file, line, message } of violations) process.stderr.write(`${file}:${line}: ${message}\n`);
if (files.length === 0) process.stderr.write("src holds no TypeScript file: nothing was checked\n");
const summary = `architecture: ${files.length} files, ${violations.length} violations\n`;
process.stdout.write(summary);
process.exitCode = files.length === 0 || violations.length > 0 ? 1 : 0;
