// Prints the table of all faults when the run is over, and writes it as chaos-table.json into the directory that REPORTS
// names, if it names one.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import { renderTable } from "./table.ts";

export default class ChaosReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap((test) => test.meta().chaos ?? []);
    // Files run in an order that vitest chooses.
    rows.sort((one, other) => one.fault.localeCompare(other.fault, "en"));
    if (rows.length === 0) return;
    process.stdout.write(`\n${renderTable(rows)}\n`);
    const reports = process.env["REPORTS"];
    if (!reports) return;
    mkdirSync(reports, { recursive: true });
    writeFileSync(join(reports, "chaos-table.json"), `${JSON.stringify(rows, undefined, 2)}\n`);
  }
}
