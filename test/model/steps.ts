// What users and outsiders do, one call each, and what it makes of the world before the operator looks. The same
// functions say what the real servers are to be told (system.ts), so the two cannot drift apart.
import {
  type Finalizer,
  type ObjectName,
  type PlaceName,
  type Policy,
  type Secret,
  type Values,
  withLatest,
  withObject,
  wiped,
  type World,
  written,
} from "./world.ts";

/** A change of an object that is there, by whoever may edit it. */
export type ObjectStep = { readonly object: ObjectName } & (
  | { readonly do: "edit"; readonly key: string; readonly value: string }
  | { readonly do: "drop"; readonly key: string }
  | { readonly do: "rename"; readonly from: string; readonly to: string }
  /** `broken`: the ciphertext is garbage from now on, or is what it was again. */
  | { readonly do: "cipher"; readonly key: string; readonly broken: boolean }
  | { readonly do: "move"; readonly to: PlaceName }
  | { readonly do: "policy"; readonly policy?: Policy }
  | { readonly do: "finalizer" | "adopt" | "orphan" | "suspend"; readonly on: boolean }
  | { readonly do: "delete" }
  /** wiped: no status at all; garbled: a record that nobody sealed, of the other place; copied: the other's status. */
  | { readonly do: "forge"; readonly how: "wiped" | "garbled" | "copied" }
);

export interface CreateStep {
  readonly do: "create";
  readonly object: ObjectName;
  readonly place: PlaceName;
  readonly values: Values;
  readonly finalizer: boolean;
  readonly policy?: Policy;
}

/** Somebody else, in Vault. On KV v1 only `write` and `wipe` mean anything. */
export type OutsiderStep = { readonly place: PlaceName } & (
  | { readonly do: "write"; readonly data: Values }
  | { readonly do: "softDelete" | "undelete" | "destroy" | "wipe" }
);

interface KmsStep {
  readonly do: "kms";
  readonly up: boolean;
}

export type Step = CreateStep | ObjectStep | OutsiderStep | KmsStep;

/** What the servers answered. */
export interface Facts {
  /** False: it was refused, because the object is not there, or is there already. */
  readonly done: boolean;
  /** Of an object that was created. */
  readonly uid?: string;
  readonly order?: string;
  /** Of KV v2 data that was written. */
  readonly version?: number;
}

/** The world after a step; undefined where the servers would have answered otherwise than they did. */
export function after(world: World, step: Step, facts: Facts): World | undefined {
  if (step.do === "kms") return { ...world, kmsUp: step.up };
  if (step.do === "create") {
    const isThere = world.objects[step.object] !== undefined;
    if (isThere === facts.done) return undefined;
    return facts.done ? withObject(world, step.object, created(step, facts)) : world;
  }
  if ("place" in step) return meddled(world, step);
  const object = world.objects[step.object];
  if ((object !== undefined && !isRefused(object, step)) !== facts.done) return undefined;
  return facts.done && object ? withObject(world, step.object, changed(object, step)) : world;
}

/** The object as it is created. */
export function created(step: CreateStep, { uid = "", order = "" }: Facts): Secret {
  const entries = Object.entries(step.values).map(([key, value]) => [key, { value, broken: false }] as const);
  return {
    uid,
    order,
    place: step.place,
    entries: Object.fromEntries(entries),
    ...(step.policy && { policy: step.policy }),
    suspended: false,
    finalizers: step.finalizer ? ["contract"] : [],
    added: [],
    adopt: false,
    orphan: false,
    deleting: false,
  };
}

/** The object after a step; undefined: gone at once. What makes no sense changes nothing. */
export function changed(object: Secret, step: ObjectStep): Secret | undefined {
  const { entries } = object;
  switch (step.do) {
    case "edit":
      return { ...object, entries: { ...entries, [step.key]: { value: step.value, broken: false } } };
    case "drop":
      return without(object, step.key);
    case "rename": {
      const entry = entries[step.from];
      if (entry === undefined || entries[step.to] !== undefined) return object;
      return without({ ...object, entries: { ...entries, [step.to]: entry } }, step.from);
    }
    case "cipher": {
      const entry = entries[step.key];
      if (entry === undefined) return object;
      return { ...object, entries: { ...entries, [step.key]: { ...entry, broken: step.broken } } };
    }
    case "move":
      return { ...object, place: step.to };
    case "policy": {
      const { policy: _policy, ...others } = object;
      return step.policy === undefined ? others : { ...others, policy: step.policy };
    }
    case "finalizer":
      return letGo(withFinalizer(object, "contract", step.on));
    case "adopt":
      return { ...object, adopt: step.on };
    case "orphan":
      return { ...object, orphan: step.on };
    case "suspend":
      return { ...object, suspended: step.on };
    case "delete":
      return letGo({ ...object, deleting: true });
    case "forge": {
      const { note: _note, ready: _ready, ...others } = object;
      return others;
    }
  }
}

/** Kubernetes adds no finalizer to an object that is being deleted. */
function isRefused(object: Secret, step: ObjectStep): boolean {
  return step.do === "finalizer" && step.on && object.deleting && !object.finalizers.includes("contract");
}

/** A deleted object goes with its last finalizer. */
export function letGo(object: Secret): Secret | undefined {
  return object.deleting && object.finalizers.length === 0 ? undefined : object;
}

export function withFinalizer(object: Secret, finalizer: Finalizer, on: boolean): Secret {
  const others = object.finalizers.filter((one) => one !== finalizer);
  return { ...object, finalizers: on ? [...others, finalizer].toSorted() : others };
}

/** An object keeps one entry at least. */
function without(object: Secret, key: string): Secret {
  const { [key]: _entry, ...others } = object.entries;
  return Object.keys(others).length === 0 ? object : { ...object, entries: others };
}

function meddled(world: World, step: OutsiderStep): World {
  if (step.do === "write") return written(world, step.place, step.data);
  if (step.do === "wipe") return wiped(world, step.place);
  if (world.places[step.place].engine === "v1") return world;
  if (step.do === "destroy") return withLatest(world, step.place, { destroyed: true });
  return withLatest(world, step.place, { deleted: step.do === "softDelete" });
}
