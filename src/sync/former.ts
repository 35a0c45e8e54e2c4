// After a change of path: what becomes of the place where the object was before. It is left alone unless a deletion
// policy other than Retain is set; then it is removed by the rules of a deletion, once the new place holds everything.
import { asOperatorError } from "../base/errors.ts";
import type { Destination } from "../vault/kv/engine.ts";
import type { LeftPlace, Outcome, Removal } from "./outcome.ts";
import type { Pass } from "./pass.ts";
import { type Note, type Place, placeOf, sameDestination } from "./record.ts";
import { removePlace } from "./remove.ts";

/** Of more places than this, left while Vault refused to remove them, the oldest is forgotten and stays. */
const mostFormer = 16;

/**
 * The outcome, with what became of the places that the object has left, and with what is still to be done recorded.
 * Never throws.
 */
export async function leaveFormer(pass: Pass, outcome: Outcome): Promise<Outcome> {
  const { note: before, secret } = pass.input;
  if (before === undefined || outcome.note === undefined) return outcome;
  const { former: _before, ...note } = outcome.note;
  const places = formerPlaces(before, note.destination);
  if (places.length === 0) return { ...outcome, note };
  const policy = secret.spec.deletionPolicy ?? "Retain";
  if (policy === "Retain") {
    return { ...outcome, note, left: places.map(({ destination }) => ({ destination, fate: { kind: "kept" } })) };
  }
  // While an entry fails, or casIndex has kept us from writing, the old place may hold the only copy of a value.
  if (note.digest === undefined) return { ...outcome, note: { ...note, former: places } };
  const left: LeftPlace[] = [];
  const former: Place[] = [];
  for (const place of places) {
    const fate = await removeFormer(pass, place, policy);
    if (fate === undefined || fate.kind === "blocked" || fate.kind === "postponed") former.push(place);
    if (fate !== undefined) left.push({ destination: place.destination, fate });
  }
  const error = left.map(({ fate }) => (fate.kind === "blocked" ? fate.error : undefined)).find((one) => one);
  return {
    ...outcome,
    note: { ...note, ...(former.length > 0 && { former }) },
    left,
    ...(error && { pending: error }),
  };
}

/** Every place that the object was written to before, other than where it is now. */
function formerPlaces(note: Note, now: Destination): readonly Place[] {
  return [...(note.former ?? []), note]
    .filter(({ destination }) => !sameDestination(destination, now))
    .slice(-mostFormer)
    .map(placeOf);
}

async function removeFormer(
  { input, tools }: Pass,
  place: Place,
  policy: "SoftDelete" | "Destroy",
): Promise<Removal | undefined> {
  const leave = input.enter(place.destination);
  if (leave === undefined) return undefined;
  try {
    const access = input.accessAt(place.destination);
    const { metadata } = input.secret;
    const { rivals, isCurrent } = input;
    return await removePlace(place, { metadata, policy, access, rivals, isCurrent }, tools);
  } catch (error) {
    return { kind: "blocked", error: asOperatorError(error) };
  } finally {
    leave();
  }
}
