// From what changes what is allowed to keys in the queue: a changed policy concerns every object, a changed label those of
// its namespace and everybody who wants their places. Nobody waits for it, so all of it goes behind edits.
import { keyOf } from "../runtime/objects.ts";
import type { NamespaceLabels } from "./namespace-labels.ts";
import { adder, type WatchesOptions } from "./watches.ts";

/** The policy, as far as it is followed. */
interface FollowedPolicy {
  readonly usesLabels: boolean;
  onChange(listener: () => void): void;
}

/** Labels of namespaces are asked for as soon as the policy goes by them. */
export function needLabels(policy: FollowedPolicy, labels: Pick<NamespaceLabels, "need">): void {
  const ask = (): void => {
    if (policy.usesLabels) labels.need();
  };
  ask();
  policy.onChange(ask);
}

/** From now on what the policy and the labels say is in force soon after they say it. */
export function followPolicy(
  { policy, labels }: { readonly policy: FollowedPolicy; readonly labels: Pick<NamespaceLabels, "need" | "onChange"> },
  options: Pick<WatchesOptions, "queue" | "surroundings" | "isWatched">,
): void {
  const { surroundings } = options;
  const add = adder(options);
  needLabels(policy, labels);
  policy.onChange(() => {
    for (const object of surroundings.all()) add(keyOf(object), "low");
  });
  labels.onChange((namespace) => {
    // Who may use a place no more leaves it to the next.
    for (const key of surroundings.keysAround(surroundings.in(namespace))) add(key, "low");
  });
}
