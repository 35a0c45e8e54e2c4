// Sequences of moves, drawn at random. Values are few, so that the same comes together often: an outsider who writes what
// an object says, an edit back to what was there before.
import * as fc from "fast-check";
import type { Move, Scenario } from "./run.ts";
import { objectNames, placeNames, type Policy } from "./world.ts";

const object = fc.constantFrom(...objectNames);
const place = fc.constantFrom(...placeNames);
const key = fc.constantFrom("k", "l");
const value = fc.constantFrom("1", "2", "3");
const values = fc.dictionary(key, value, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const on = fc.boolean();
const policy = fc.constantFrom<Policy>("Retain", "SoftDelete", "Destroy");

function moves(...weighted: ReadonlyArray<readonly [weight: number, move: fc.Arbitrary<Move>]>): fc.Arbitrary<Move> {
  return fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const move = moves(
  [
    6,
    fc.record(
      { do: fc.constant("create" as const), object, place, values, finalizer: on, policy },
      { requiredKeys: ["do", "object", "place", "values", "finalizer"] },
    ),
  ],
  [4, fc.record({ do: fc.constant("edit" as const), object, key, value })],
  [2, fc.record({ do: fc.constant("drop" as const), object, key })],
  [
    2,
    fc
      .constantFrom(["k", "l"], ["l", "k"])
      .chain(([from = "", to = ""]) =>
        fc.record({ do: fc.constant("rename" as const), object, from: fc.constant(from), to: fc.constant(to) }),
      ),
  ],
  [3, fc.record({ do: fc.constant("cipher" as const), object, key, broken: on })],
  [4, fc.record({ do: fc.constant("move" as const), object, to: place })],
  [2, fc.constant({ do: "swap" as const })],
  [4, fc.record({ do: fc.constant("delete" as const), object })],
  [2, fc.record({ do: fc.constantFrom("finalizer" as const, "adopt" as const), object, on })],
  [1, fc.record({ do: fc.constantFrom("orphan" as const, "suspend" as const), object, on })],
  [3, fc.record({ do: fc.constant("policy" as const), object, policy }, { requiredKeys: ["do", "object"] })],
  [2, fc.record({ do: fc.constant("forge" as const), object, how: fc.constantFrom("wiped", "garbled", "copied") })],
  [4, fc.record({ do: fc.constant("write" as const), place, data: values })],
  [
    3,
    fc.record({
      do: fc.constantFrom("softDelete" as const, "undelete" as const, "destroy" as const, "wipe" as const),
      place,
    }),
  ],
  [1, fc.record({ do: fc.constant("rewrite" as const), place, data: values })],
  [2, fc.record({ do: fc.constant("kms" as const), up: on })],
  [
    3,
    fc.record({
      do: fc.constant("crash" as const),
      passing: fc.nat({ max: 4 }),
      moment: fc.constantFrom("before", "after"),
    }),
  ],
  [5, fc.constant({ do: "settle" as const })],
);

const engine = fc.constantFrom("v1" as const, "v2" as const, "v2" as const);

/** The last move may be the deletion of the namespace. */
export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  engines: fc.record({ x: engine, y: engine }),
  moves: fc
    .tuple(
      fc.array(move, { minLength: 4, maxLength: 25, size: "max" }),
      fc.option(fc.constant<Move>({ do: "terminate" }), { freq: 6 }),
    )
    .map(([all, last]) => (last === null ? all : [...all, last])),
});
