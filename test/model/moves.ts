// Sequences of moves, drawn at random. Values are few, so that the same comes together often: an outsider who writes what
// an object says, an edit back to what was there before.
import * as fc from "fast-check";
import type { Move, Scenario } from "./run.ts";
import { type ObjectName, objectNames, placeNames, type Policy } from "./world.ts";

const object = fc.constantFrom(...objectNames);
const place = fc.constantFrom(...placeNames);
const key = fc.constantFrom("k", "l");
const values = fc.dictionary(key, fc.constantFrom("1", "2", "3"), { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const on = fc.boolean();
const policy = fc.constantFrom<Policy>("Retain", "SoftDelete", "Destroy");
const engine = fc.constantFrom("v1" as const, "v2" as const, "v2" as const);

/** One of the moves called `name`, with fields drawn from `fields`. */
function a<const N extends string, F extends object>(name: N, fields: { [K in keyof F]: fc.Arbitrary<F[K]> }) {
  const move = fc.record({ do: fc.constant(name), ...fields }, { noNullPrototype: true });
  return move as unknown as fc.Arbitrary<{ readonly do: N } & F>;
}

const changePolicy = fc.oneof(a("policy", { object, policy }), a("policy", { object }));

function create(name: fc.Arbitrary<ObjectName>) {
  const fields = { object: name, place, values, finalizer: on };
  return fc.oneof(a("create", fields), a("create", { ...fields, policy }));
}

const moves: ReadonlyArray<readonly [weight: number, move: fc.Arbitrary<Move>]> = [
  [5, create(object)],
  [4, a("edit", { object, key, value: fc.constantFrom("1", "2", "3") })],
  [2, a("drop", { object, key })],
  [2, a("rename", { object, from: key, to: key })],
  [3, a("cipher", { object, key, broken: on })],
  [4, a("move", { object, to: place })],
  [2, fc.constant({ do: "swap" })],
  [4, a("delete", { object })],
  [1, a("finalizer", { object, on })],
  [1, a("adopt", { object, on })],
  [1, a("orphan", { object, on })],
  [1, a("suspend", { object, on })],
  [3, changePolicy],
  [2, a("forge", { object, how: fc.constantFrom("wiped", "garbled", "copied") })],
  [4, a("write", { place, data: values })],
  [1, a("softDelete", { place })],
  [1, a("undelete", { place })],
  [1, a("destroy", { place })],
  [1, a("wipe", { place })],
  [1, a("rewrite", { place, data: values })],
  [2, a("kms", { up: on })],
  [3, a("crash", { passing: fc.nat({ max: 4 }), moment: fc.constantFrom("before", "after") })],
  [1, fc.constant({ do: "kill" })],
  [5, fc.constant({ do: "settle" })],
];

const move = fc.oneof(...moves.map(([weight, arbitrary]) => ({ weight, arbitrary })));

/** There is an object to begin with, and mostly two; in the end the namespace may be deleted. */
export const scenarios: fc.Arbitrary<Scenario> = fc.record(
  {
    engines: fc.record({ x: engine, y: engine }, { noNullPrototype: true }),
    moves: fc
      .tuple(
        create(fc.constant("a")),
        fc.option(create(fc.constant("b")), { freq: 4 }),
        fc.array(move, { minLength: 4, maxLength: 25, size: "max" }),
        fc.option(fc.constant({ do: "terminate" as const }), { freq: 6 }),
      )
      .map(([first, second, others, last]) => [first, second, ...others, last].filter((one) => one !== null)),
  },
  { noNullPrototype: true },
);
