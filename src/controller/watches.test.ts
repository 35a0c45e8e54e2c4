// How often keys are put into the queue when very many objects name one place. What ends up in it, with real servers:
// test/integration/{edits,path-conflict,policy-labels}.test.ts.
import { expect, test } from "vitest";
import type { KubeObject } from "../runtime/objects.ts";
import { Store } from "../runtime/store.ts";
import type { NamespaceLabels } from "./namespace-labels.ts";
import { followPolicy } from "./policy-watch.ts";
import { secretIndexers, Surroundings } from "./surroundings.ts";
import { partialHandlers } from "./watches.ts";

const crowd = 500;

/** Objects of one namespace that name one place and include one Partial, and one of another namespace that does so too. */
function crowded() {
  const secrets = new Store<KubeObject>(secretIndexers);
  const named = (namespace: string, name: string): KubeObject =>
    ({
      metadata: { namespace, name, uid: `${namespace}/${name}`, resourceVersion: "1", creationTimestamp: "" },
      spec: { path: "kv/one", includeSecrets: ["shared"] },
    }) as KubeObject;
  for (let index = 0; index < crowd; index += 1) secrets.set(named("ns", `object-${index}`));
  secrets.set(named("other", "object"));
  const added: string[] = [];
  const options = {
    queue: { add: (key: string) => void added.push(key) },
    surroundings: new Surroundings(secrets, new Store({})),
    isWatched: () => true,
    hasSynced: () => true,
    onStored: () => {},
    onGone: () => {},
  };
  return { options, added };
}

test("an edited Partial: who includes it and who wants their places, once each", () => {
  const { options, added } = crowded();
  const metadata = { namespace: "ns", name: "shared", uid: "u", resourceVersion: "1", creationTimestamp: "" };
  partialHandlers(options).onAdd?.({ metadata });
  expect([added.length, new Set(added).size]).toEqual([crowd + 1, crowd + 1]);
  expect(added).toContain("other/object");
});

test("other labels of a namespace: its objects and who wants their places, once each", () => {
  const { options, added } = crowded();
  let relabelled: (namespace: string) => void = () => {};
  const labels: Pick<NamespaceLabels, "need" | "onChange"> = {
    need: () => {},
    onChange: (listener) => {
      relabelled = listener;
    },
  };
  followPolicy({ policy: { usesLabels: true, onChange: () => {} }, labels }, options);
  relabelled("ns");
  expect([added.length, new Set(added).size]).toEqual([crowd + 1, crowd + 1]);
  expect(added).toContain("other/object");
});
