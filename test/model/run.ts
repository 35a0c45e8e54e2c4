// One run: a sequence of moves on the real servers, and the model beside it. Whenever the operator has come to rest, what
// is seen must be what one of the possible worlds shows; at the end everything is healed, and the invariants are held
// against what is seen, without the model.
import { setTimeout as sleep } from "node:timers/promises";
import { atRest, type Belief, belief, looked, narrowed, restarted, type Seen, stepped } from "./belief.ts";
import type { Moment } from "./fault-relay.ts";
import { Invariants } from "./invariants.ts";
import type { Servers } from "./servers.ts";
import type { OutsiderStep, Step } from "./steps.ts";
import { System } from "./system.ts";
import { canonical, type Engine, newWorld, objectNames, type PlaceName, type Values, type World } from "./world.ts";

/** What a sequence is made of: steps, and what takes several of them. */
export type Move =
  | Step
  | { readonly do: "settle" }
  | { readonly do: "swap" }
  /** Somebody wipes a secret and writes it anew, up to the version number that it had. */
  | { readonly do: "rewrite"; readonly place: PlaceName; readonly data: Values }
  /** The operator ends at a call that changes something, after so many of them, and stays away until it shall settle. */
  | { readonly do: "crash"; readonly passing: number; readonly moment: Moment }
  /** The operator ends now, and stays away until it shall settle. */
  | { readonly do: "kill" }
  /** Whatever is created from now on is younger than what is there: Kubernetes counts whole seconds. */
  | { readonly do: "age" }
  /** The namespace is deleted, and with it its objects. */
  | { readonly do: "terminate" };

const courses = ["settle", "swap", "rewrite", "crash", "kill", "age", "terminate"] as const;

/** Whether a move is one step. */
function isStep(move: Move): move is Step {
  return !courses.some((course) => course === move.do);
}

export interface Scenario {
  readonly engines: Readonly<Record<PlaceName, Engine>>;
  readonly moves: readonly Move[];
}

/** How long the operator may take to come to rest, ms: more than it ever needs, since only a failure waits for it. */
const restMs = 8_000;

/**
 * @returns what is seen in the end
 * @throws Error that tells what was seen, what was possible, and what had been done
 */
export async function play(servers: Servers, { engines, moves }: Scenario): Promise<Seen> {
  await using system = new System(servers, engines);
  await system.open();
  const run = new Run(system, engines);
  for (const move of moves) await run.make(move);
  // Awaited here, or the operator would be ended before.
  return await run.finish();
}

async function untilNextSecond(): Promise<void> {
  const next = Math.floor(Date.now() / 1_000) * 1_000 + 1_000;
  await sleep(next - Date.now());
}

class Run {
  readonly #system: System;
  readonly #invariants: Invariants;
  readonly #log: string[] = [];
  #belief: Belief;
  #isArmed = false;
  #isDown = false;
  /** Something has been done that the operator may not have heard of yet. */
  #isStirred = false;
  #isTerminating = false;

  constructor(system: System, engines: Scenario["engines"]) {
    this.#system = system;
    this.#belief = belief([newWorld(engines)]);
    this.#invariants = new Invariants(engines);
  }

  async make(move: Move): Promise<void> {
    if (isStep(move)) return this.#step(move);
    switch (move.do) {
      case "settle":
        return this.settle();
      case "crash":
        if (this.#isDown) return;
        this.#log.push(canonical(move));
        this.#isArmed = true;
        return this.#system.arm(move.passing, move.moment);
      case "kill":
        if (this.#isDown) return;
        this.#system.kill();
        await this.#noticeCrash();
        return;
      case "age":
        return untilNextSecond();
      case "swap":
        return this.#swap();
      case "rewrite":
        return this.#rewrite(move.place, move.data);
      case "terminate":
        this.#isTerminating = true;
        this.#log.push(canonical(move));
        await this.#system.terminate();
        for (const object of objectNames) await this.#step({ do: "delete", object });
        return;
    }
  }

  /** Heals what is ill, and holds everything against the model and the invariants. */
  async finish(): Promise<Seen> {
    this.#system.disarm();
    await this.#step({ do: "kms", up: true });
    await this.settle();
    // Once more, so that a state that was only passed through is found out.
    this.#isStirred = true;
    await this.settle();
    return this.#system.see();
  }

  /** Waits until the operator has come to rest at a state that the model knows. */
  async settle(): Promise<void> {
    if (!this.#isStirred) return;
    this.#log.push("settle");
    let expected = await this.#resting();
    const until = performance.now() + restMs;
    for (;;) {
      if (!this.#isDown && (await this.#noticeCrash())) {
        expected = await this.#resting();
        continue;
      }
      // What it is doing may still change what is seen.
      const isIdle = await this.#system.isIdle();
      const view = await this.#system.see();
      const seen = canonical(view);
      const matching = narrowed(expected, seen);
      if (matching.size > 0 && isIdle) {
        this.#belief = matching;
        this.#holdInvariants(view);
        break;
      }
      if (performance.now() > until) throw this.#failure(seen, expected);
      await sleep(20);
    }
    this.#system.disarm();
    this.#isArmed = false;
    this.#isStirred = false;
  }

  /** Where the operator, which is started if it is down, may come to rest. */
  async #resting(): Promise<Belief> {
    if (!this.#isDown) await this.#noticeCrash();
    if (this.#isDown) {
      this.#isDown = false;
      this.#isArmed = false;
      await this.#system.start();
    } else if (this.#isArmed) {
      this.#belief = looked(this.#belief, "crashing");
    }
    await this.#system.poke();
    return atRest(this.#belief);
  }

  async #step(step: Step): Promise<void> {
    if (!this.#isInOrder(step) && this.#isStirred && !this.#isDown) await this.settle();
    if (this.#isTerminating && step.do === "create") return;
    await this.#noticeCrash();
    const facts = await this.#system.carryOut(step);
    this.#log.push(canonical({ ...step, ...(!facts.done && { refused: true }) }));
    this.#invariants.note(step, facts);
    const looking = this.#isArmed ? "crashing" : this.#interrupts(step) ? "under way" : "over";
    const before = this.#isDown ? this.#belief : looked(this.#belief, looking);
    this.#belief = stepped(before, step, facts);
    this.#isStirred = true;
    if (this.#belief.size === 0) throw this.#failure("the answer to the last step", before);
  }

  /**
   * Whether it makes no difference to what may come of a step how much the operator has heard of those before. What it
   * last heard of an object is a little old, but edits come to it in order. Not so what an outsider or KMS does, nor what
   * a look that is under way may write over (a forged status, finalizers), nor the edit of an object whose deletion is.
   */
  #isInOrder(step: Step): boolean {
    if (!("object" in step) || step.do === "forge" || step.do === "finalizer") return false;
    return [...this.#belief.values()].every(({ objects }) => objects[step.object]?.deleting !== true);
  }

  /** Whether an object comes to a place that another has: if it turns out to be the older one, a look at that ends early. */
  #interrupts(step: Step): boolean {
    if (step.do !== "create" && step.do !== "move") return false;
    const place = step.do === "create" ? step.place : step.to;
    const isThere = ({ objects }: World): boolean =>
      objectNames.some((name) => name !== step.object && objects[name]?.place === place);
    return [...this.#belief.values()].some(isThere);
  }

  /** @returns whether the operator is down */
  async #noticeCrash(): Promise<boolean> {
    if (this.#isDown || !(await this.#system.hasCrashed())) return this.#isDown;
    this.#log.push("crashed");
    this.#belief = restarted(looked(this.#belief, "crashing"));
    this.#isDown = true;
    return true;
  }

  async #swap(): Promise<void> {
    const [a, b] = [this.#system.said.get("a")?.place, this.#system.said.get("b")?.place];
    if (a === undefined || b === undefined) return;
    await this.#step({ do: "move", object: "a", to: b });
    await this.#step({ do: "move", object: "b", to: a });
  }

  async #rewrite(place: PlaceName, data: Values): Promise<void> {
    await this.settle();
    const versions = await this.#system.versionsAt(place);
    if (versions === 0) return;
    const steps: OutsiderStep[] = [{ do: "wipe", place }];
    for (let version = 1; version <= versions; version += 1) steps.push({ do: "write", place, data });
    for (const step of steps) {
      await this.#step(step);
      // Nobody asks the operator to look in between.
      this.#isStirred = false;
    }
    this.#isStirred = true;
  }

  #holdInvariants(view: Seen): void {
    try {
      this.#invariants.check(view);
    } catch (error) {
      throw this.#failure(`${(error as Error).message}, in ${canonical(view)}`, this.#belief);
    }
  }

  #failure(seen: string, expected: Belief): Error {
    const possible = [...expected.values()].slice(0, 6).map((world) => JSON.stringify(world));
    return new Error(
      [
        "the operator did not come to rest where the model says",
        `seen: ${seen}`,
        `possible (${expected.size}): ${possible.join("\n  ")}`,
        `done:\n  ${this.#log.join("\n  ")}`,
        `the operator's last words:\n${this.#system.words}`,
      ].join("\n"),
    );
  }
}
