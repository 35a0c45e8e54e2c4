// Sums vitest's JSON reports for .ci/run and prints `N passed, N failed`. Arguments: the directory of the reports, the
// exit code of make.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What we read of a report of vitest's json reporter. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string }[];
}

const [directory, made] = process.argv.slice(2);
if (directory === undefined || made === undefined)
  throw new Error("usage: count-tests <directory> <exit code of make>");
let passed = 0;
let failed = 0;
for (const file of readdirSync(directory)) {
  const report = JSON.parse(readFileSync(join(directory, file), "utf8")) as Report;
  passed += report.numPassedTests;
  failed += report.numFailedTests + report.testResults.filter(couldNotBeLoaded).length;
}
if (passed + failed === 0) {
  process.stdout.write("no test ran\n");
  failed = 1;
}
// make failed for another reason than a test: a check, or a run that died before its report.
if (made !== "0" && failed === 0) failed = 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && made === "0" ? 0 : 1;

/** Such a file has no failed test, but it failed. */
function couldNotBeLoaded({ status, assertionResults }: FileResult): boolean {
  return status === "failed" && !assertionResults.some((test) => test.status === "failed");
}
