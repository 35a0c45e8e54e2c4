// One fault from beginning to end, the same way for each: edits before, during and after it; how soon it was noticed,
// how soon all was well again; and afterwards nothing lost, nothing in the wrong order, no call too many, no memory kept,
// the same process.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, type RunnerTestCase, TestRunner } from "vitest";
import { eventually } from "../env/eventually.ts";
import { editsPerSecond, EditStream } from "./edit-stream.ts";
import { type Figures, figuresOf, markOf, momentOf } from "./figures.ts";
import type { FaultRow } from "./table.ts";
import { type ChaosWorld, syncPeriodSeconds } from "./world.ts";

export interface Fault {
  readonly name: string;
  begin(): Promise<void>;
  end(): Promise<void>;
  /** How long it lasts, s; 10. */
  readonly seconds?: number;
  /** Whether readiness must tell of it; absent: it may. */
  readonly isUnready?: boolean;
  /** Until all is well again, s; 30. A stalled or failing object waits for its own backoff, which doubles from 1 s. */
  readonly recoversWithin?: number;
  /** Changes that were asked for besides the edits, and outages that it was made of; 0 and 1. */
  readonly load?: () => { readonly changes: number; readonly outages: number };
  /** What else must have been counted from its beginning to the recovery. */
  readonly expects?: (before: Figures, after: Figures) => void;
}

/** Memory that may be kept over what was used at rest before. */
const memoryBound = 1.2;

/**
 * Lets a fault happen, checks what has to hold afterwards, and adds the row to the table. All figures come from the one
 * process that was started: had it ended, they would be refused.
 */
export async function survive(world: ChaosWorld, fault: Fault): Promise<void> {
  const { population } = world;
  const span = await suffer(world, fault);
  await converged(world, (fault.recoversWithin ?? 30) * 1_000);
  const recoverSeconds = (Date.now() - span.ended) / 1_000;
  expectBounded(world, span);
  fault.expects?.(span.before, await figuresOf(world));
  await new EditStream(world).during(1_500, "stop");
  await converged(world, 10_000);
  await expectQuiet(world);

  const { lost, inversions, worstMs } = await population.account(span.began, span.ended);
  const memory = await memoryAfter(world);
  addRow({
    fault: fault.name,
    noticeSeconds: span.signs.firstSeconds,
    recoverSeconds,
    lost,
    inversions,
    edits: population.acceptedWithin(span.began, span.ended),
    worstEditSeconds: worstMs === undefined ? undefined : worstMs / 1_000,
    memory,
  });
  expect(lost, "lost edits").toBe(0);
  expect(inversions, "edits in the wrong order").toBe(0);
  if (fault.isUnready !== undefined) expect(span.signs.wasUnready, "readiness told of it").toBe(fault.isUnready);
  expect(memory).toBeLessThan(memoryBound);
}

/** A fault that has been, with the figures before it and those just before its end. */
interface Span {
  readonly before: Figures;
  readonly after: Figures;
  /** ms since the epoch. */
  readonly began: number;
  readonly ended: number;
  readonly signs: Signs;
  readonly changes: number;
  readonly outages: number;
}

/** From the first edits before a fault to its end. */
async function suffer(world: ChaosWorld, fault: Fault): Promise<Span> {
  const before = await figuresOf(world);
  await using edits = new EditStream(world);
  await edits.during(1_500);
  const began = Date.now();
  await using signs = new Signs(world, before);
  await fault.begin();
  await sleep((fault.seconds ?? 10) * 1_000);
  const { changes, outages } = fault.load?.() ?? { changes: 0, outages: 1 };
  const after = await figuresOf(world);
  await fault.end();
  return { before, after, began, ended: Date.now(), signs, changes, outages };
}

/** @throws Error outside of a test */
function addRow(row: FaultRow): void {
  const { meta } = TestRunner.getCurrentTest<RunnerTestCase>();
  meta.chaos = [...(meta.chaos ?? []), row];
}

/** Every object is right, and readiness says so. @throws Error with the operator's last words, too */
async function converged({ population, operator }: ChaosWorld, timeoutMs: number): Promise<void> {
  try {
    await population.untilConverged(timeoutMs);
    await eventually(async () => expect(await operator.isReady(), "ready").toBe(true), { timeoutMs });
  } catch (error) {
    const words = operator.output().trimEnd().split("\n").slice(-8).join("\n");
    throw new Error(`${(error as Error).message}; the operator's last words:\n${words}`, { cause: error });
  }
}

/** Watches for the first sign that something is wrong. */
class Signs implements AsyncDisposable {
  firstSeconds: number | undefined;
  wasUnready = false;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(world: ChaosWorld, before: Figures) {
    this.#running = this.#watch(world, before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #watch(world: ChaosWorld, before: Figures): Promise<void> {
    const start = performance.now();
    while (!this.#abort.signal.aborted) {
      const [figures, isReady] = await Promise.all([figuresOf(world), world.operator.isReady()]);
      this.wasUnready ||= !isReady;
      if (!isReady || figures.failures > before.failures) {
        this.firstSeconds ??= (performance.now() - start) / 1_000;
      }
      await sleep(50);
    }
  }
}

/**
 * What is tried while nothing works follows from the backoffs (the shortest wait is half of their base): an object 1 s
 * doubling, a watch 0.5 s doubling; a Vault call is sent 3 times, a KMS call counts once, a call to the API server is
 * sent 5 times.
 */
function expectBounded({ population }: ChaosWorld, { before, after, began, ended, changes, outages }: Span): void {
  const seconds = (ended - began) / 1_000;
  const attempts = (baseSeconds: number) =>
    outages * (2 + Math.ceil(Math.log2(1 + seconds / outages / (baseSeconds / 2))));
  const edits = changes + (seconds + 5) * editsPerSecond;
  const looks = population.size * (attempts(1) + Math.ceil(seconds / syncPeriodSeconds)) + 3 * edits;
  expect(after.reconciles - before.reconciles, "reconciles").toBeLessThan(looks);
  // Two informers.
  expect(after.informerFailures - before.informerFailures, "failed watches").toBeLessThan(2 * attempts(0.5) + 8);
  // Mount, data, metadata, mark: a write takes several calls.
  expect(after.vaultRequests - before.vaultRequests, "Vault requests").toBeLessThan(3 * looks + 15 * edits);
  expect(after.kmsRequests - before.kmsRequests, "KMS requests").toBeLessThan(4 * (looks + edits));
  expect(after.kubeRequests - before.kubeRequests, "requests to the API server").toBeLessThan(5 * (looks + edits));
}

/** One resync of every object, and nothing but one Vault read for each. */
async function expectQuiet(world: ChaosWorld): Promise<void> {
  // Events are written after what they tell of.
  await eventually(
    async () => {
      const { kubeWrites } = await figuresOf(world);
      await sleep(1_000);
      expect((await figuresOf(world)).kubeWrites).toBe(kubeWrites);
    },
    { timeoutMs: 20_000 },
  );
  const mark = await markOf(world);
  const began = performance.now();
  const start = await momentOf(world, mark);
  await sleep(1.2 * syncPeriodSeconds * 1_000);
  const end = await momentOf(world, mark);
  const reads = Map.groupBy(end.asked, (asked) => asked);
  expect(new Set(reads.keys()), "each object was looked at, by a read").toEqual(new Set(world.population.looks));
  // The jitter of a resync is a tenth of the period.
  const resyncs = Math.ceil((performance.now() - began) / 1_000 / (0.9 * syncPeriodSeconds));
  expect(Math.max(...[...reads.values()].map(({ length }) => length)), "reads of one object").toBeLessThanOrEqual(
    resyncs,
  );
  // Looks are always under way, at both ends of the time: in all, as many as there are workers may be counted apart.
  const looks = end.reconciles - start.reconciles;
  expect(Math.abs(end.asked.length - start.asked.length - looks), "reads are as many as looks").toBeLessThanOrEqual(16);
  expect(Math.abs(end.vaultRequests - start.vaultRequests - looks), "requests to Vault").toBeLessThanOrEqual(16);
  expect(end.decryptions, "decryptions").toBe(start.decryptions);
  expect(end.kubeWrites, "writes to the API server").toBe(start.kubeWrites);
  expect(end.resourceVersions).toEqual(start.resourceVersions);
}

/** Memory over that at rest before, as soon as it is within the bound: what has not been collected yet is not kept. */
async function memoryAfter(world: ChaosWorld): Promise<number> {
  const until = performance.now() + 15_000;
  for (;;) {
    const ratio = (await figuresOf(world)).residentBytes / world.restingBytes;
    if (ratio < memoryBound || performance.now() > until) return ratio;
    await sleep(500);
  }
}
