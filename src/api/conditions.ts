// Conditions as Kubernetes means them: one per type, and lastTransitionTime moves only when the status does. Pure: the
// caller hands in the time, and gets a new list back.
import type { Condition } from "./kinds.ts";

/** The condition of this type, or undefined. */
export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/**
 * The list with `next` in the place of the condition of its type, or at the end when there was none. Where the status
 * is the same as before, the old `lastTransitionTime` is kept.
 */
export function setCondition(conditions: readonly Condition[], next: Condition): Condition[] {
  const previous = findCondition(conditions, next.type);
  if (previous === undefined) return [...conditions, next];
  const merged = previous.status === next.status ? { ...next, lastTransitionTime: previous.lastTransitionTime } : next;
  return conditions.map((condition) => (condition === previous ? merged : condition));
}

/** The list without the conditions of this type. */
export function removeCondition(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type);
}
