// What a run of the bench is told: its flags, with every default.
import { parseArgs } from "node:util";

/** How to use it, for people. */
export const usage = `make bench ARGS='…'
  --scenario a,b     of: start, first-sync, steady, edits, scale, webhook (default: all)
  --objects N        of first-sync, steady and edits (1000)
  --keys N           of each object (5)
  --largest N        of scale, which goes 100, 1000, … up to it (10000)
  --engine v1|v2     of first-sync (v2)
  --rounds N         first-sync: ours between two floors, so often (2)
  --subject COMMAND  first sync by another operator next to ours, each on such objects and servers of its own;
                     {kubeconfig} in it is replaced, the rest it learns from its environment; of a script that does
                     not exec it the processors' time counts as another program's
  --profile DIR      first-sync: CPU profiles of our operator, with the top of each
  --quick            small numbers: everything in about two minutes
  --json FILE        where the figures go as JSON (bench-results.json)
  --check            exit code 1 when a target was missed, or when other programs disturbed what was timed`;

export interface Settings {
  readonly scenarios: readonly string[];
  readonly objects: number;
  readonly keys: number;
  readonly largest: number;
  readonly engine: "v1" | "v2";
  readonly rounds: number;
  readonly quick: boolean;
  readonly subject: string | undefined;
  readonly profile: string | undefined;
  readonly json: string;
  readonly check: boolean;
}

/**
 * @param args the command line
 * @returns undefined when help was asked for
 * @throws Error that says what is wrong with them
 */
export function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: "string", default: "start,first-sync,steady,edits,scale,webhook" },
      objects: { type: "string" },
      keys: { type: "string", default: "5" },
      largest: { type: "string" },
      engine: { type: "string", default: "v2" },
      rounds: { type: "string" },
      subject: { type: "string" },
      profile: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string", default: "bench-results.json" },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const { quick, engine, subject, profile, json, check } = values;
  if (engine !== "v1" && engine !== "v2") throw new Error(`--engine is v1 or v2, not ${engine}`);
  return {
    scenarios: [...values.scenario.split(","), ...(subject === undefined ? [] : ["ours", "subject"])],
    objects: wholeNumber("--objects", values.objects ?? (quick ? "200" : "1000")),
    keys: wholeNumber("--keys", values.keys),
    largest: wholeNumber("--largest", values.largest ?? (quick ? "1000" : "10000")),
    engine,
    rounds: wholeNumber("--rounds", values.rounds ?? (quick ? "1" : "2")),
    quick,
    subject,
    profile,
    json,
    check,
  };
}

function wholeNumber(flag: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${flag} is a whole number of at least 1, not ${text}`);
  return Number(text);
}
