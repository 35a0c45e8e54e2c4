// A workflow runs with the project's name and, in a release, its rights: what others could change under it is pinned, and
// no job may do more than it says.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly uses?: string;
  readonly environment?: unknown;
  readonly secrets?: unknown;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly permissions?: object;
  readonly jobs: Readonly<Record<string, Job>>;
}

const directory = join(import.meta.dirname, "..", ".github", "workflows");
const workflows = readdirSync(directory).map((name) => {
  const text = readFileSync(join(directory, name), "utf8");
  return { name, text, workflow: parse(text) as Workflow };
});
const jobs = workflows.flatMap(({ name, workflow }) =>
  Object.entries(workflow.jobs).map(([job, what]) => ({ name: `${name}: ${job}`, job: what })),
);

test("there are a workflow for changes and one for releases", () => {
  expect(workflows.map(({ name }) => name).toSorted()).toEqual(["ci.yml", "release.yml"]);
});

test("the Dockerfile names the images that a release resolves to digests", () => {
  const dockerfile = readFileSync(join(import.meta.dirname, "..", "Dockerfile"), "utf8");
  for (const name of ["BASE_IMAGE", "BUILD_IMAGE"]) {
    expect(dockerfile).toMatch(new RegExp(`^ARG ${name}=[\\w./-]+:[\\w.-]+$`, "m"));
  }
});

describe.each(workflows)("$name", ({ text, workflow }) => {
  test("gives a job nothing that the job does not ask for", () => expect(workflow.permissions).toEqual({}));

  test("pins each action of others by its commit, and says which version that is", () => {
    const uses = text.split("\n").filter((line) => /^\s*(- )?uses:/.test(line));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) expect(line).toMatch(/uses: (\.\/|[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$)/);
  });

  test("installs no package's scripts", () => {
    for (const line of text.split("\n").filter((one) => /\bnpm (ci|install|i)\b/.test(one))) {
      expect(line).toContain("--ignore-scripts");
    }
  });
});

describe.each(jobs)("$name", ({ job }) => {
  const steps = job.steps ?? [];

  test("says what it may do", () => {
    expect(job.permissions).toBeDefined();
    expect(Object.values(job.permissions ?? {})).not.toContain("write-all");
  });

  test("ends some time", () => {
    if (job.uses === undefined) expect(job["timeout-minutes"]).toBeGreaterThan(0);
  });

  test("gets what comes from outside through the environment: in a script it would be code, or in a command line", () => {
    for (const { run = "" } of steps) expect(run).not.toContain("${{");
  });

  test("leaves no token of its own in the checkout", () => {
    for (const step of steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"))) {
      expect(step.with?.["persist-credentials"]).toBe(false);
    }
  });
});

test.each(jobs.filter(({ job }) => runsPackages(job)))(
  "$name has nothing that packages of npm could take: no secret, no right but to read",
  ({ job }) => {
    expect(job.permissions).toEqual({ contents: "read" });
    expect(job.environment).toBeUndefined();
    expect(job.secrets).toBeUndefined();
    expect(JSON.stringify(job)).not.toMatch(/secrets\.|github\.token/);
  },
);

test("a release is built where packages of npm run, and signed where none does", () => {
  const named = (name: string) => jobs.find((one) => one.name === `release.yml: ${name}`)?.job ?? {};
  expect(runsPackages(named("build"))).toBe(true);
  expect(runsPackages(named("check"))).toBe(true);
  expect(runsPackages(named("release"))).toBe(false);
  expect(named("release").permissions).toMatchObject({ "id-token": "write" });
});

test("nothing is tagged before it is signed and attested", () => {
  const steps = workflows.flatMap(({ workflow }) => workflow.jobs["release"]?.steps ?? []);
  const places = (what: RegExp) =>
    steps.flatMap(({ run = "", uses = "" }, index) => (what.test(`${uses}\n${run}`) ? index : []));
  const [tagged = -1, ...more] = places(/crane (tag|copy)|helm push|crane push \S+ "[^"@]*"/);
  expect(more).toEqual([]);
  const signed = places(/cosign (sign|attest)|attest-build-provenance/);
  expect(signed).toHaveLength(3);
  expect(tagged).toBeGreaterThan(Math.max(...signed));
  // Whose the commit is, is seen to first, by programs that no package of npm could have changed.
  const [push = -1] = places(/crane push/);
  const checked = places(/git verify-tag[^]*git verify-commit[^]*git merge-base --is-ancestor/);
  expect(checked).toHaveLength(1);
  expect(checked[0]).toBeLessThan(push);
});

/** Whether code of the project's packages runs in a job; a workflow that it calls is taken to do so. */
function runsPackages({ uses, steps = [] }: Job): boolean {
  return uses !== undefined || steps.some(({ run = "" }) => /\b(make|npm|npx|node|node_modules)\b|\.ci\//.test(run));
}
