// What looking for the objects that include a Partial costs, however many others there are. With a real API server:
// test/integration/webhook-partials.test.ts.
import { expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { Includers, type SecretPages } from "./includers.ts";

const partial = { namespace: "ns", name: "shared" };
const freedom = { refusals: () => [] };
const never = new AbortController().signal;

function secret(name: string, includeSecrets: unknown, spec: object = {}): object {
  return { metadata: { name }, spec: { path: "kv/x", includeSecrets, ...spec } };
}

/** Pages, and how many of them were taken. */
function book(...pages: readonly (readonly object[])[]) {
  const read = { taken: 0 };
  async function* turn() {
    for (const page of pages) {
      read.taken += 1;
      yield page;
    }
  }
  return { read, pages: turn };
}

async function namesOf(found: ReturnType<Includers["of"]>): Promise<string[]> {
  const subjects = await found;
  if (subjects instanceof OperatorError) throw subjects;
  return subjects.map(({ name }) => name);
}

test("the first five that include it, and no page after the one with the fifth", async () => {
  const others = ["y", "other", undefined].map((include, index) => secret(`other${index}`, include && [include]));
  const { pages, read } = book(
    [...others, secret("a", ["shared"]), secret("b", ["x", "shared"])],
    others,
    ["c", "d", "e", "f"].map((name) => secret(name, ["shared"])),
    [secret("g", ["shared"])],
  );
  expect(await namesOf(new Includers(pages, freedom).of(partial, never))).toEqual(["a", "b", "c", "d", "e"]);
  expect(read.taken).toBe(3);
});

test("what the policy refuses is none of them; only those that include it are judged, without their entries", async () => {
  const judged: unknown[] = [];
  const policy = {
    refusals: ({ spec }: { readonly spec: Readonly<Record<string, unknown>> | undefined }) => {
      judged.push(spec);
      return spec?.["path"] === "theirs/x" ? ["no"] : [];
    },
  };
  const secrets = Array.from({ length: 10_000 }, (_, key) => ({ key: `k${key}` }));
  const { pages } = book([
    secret("other", ["y"], { secrets }),
    secret("theirs", ["shared"], { path: "theirs/x", secrets }),
    secret("ours", ["shared"], { secrets, bindContext: "Key" }),
  ]);
  const found = await new Includers(pages, policy).of(partial, never);
  expect(found).toMatchObject([{ name: "ours", namespace: "ns", spec: { bindContext: "Key" } }]);
  expect(judged).toEqual([
    { path: "theirs/x", includeSecrets: ["shared"], secrets: [] },
    { path: "kv/x", includeSecrets: ["shared"], secrets: [], bindContext: "Key" },
  ]);
});

test("in a namespace with very many others nobody knows, rather than that there is none", async () => {
  const page = Array.from({ length: 20 }, () => secret("other", ["y"]));
  const { pages, read } = book(...Array.from({ length: 1_000 }, () => page));
  const found = await new Includers(pages, freedom).of(partial, never);
  expect(found).toMatchObject({ code: "KubernetesError", retry: "backoff", message: expect.stringContaining("5000") });
  expect(read.taken).toBe(251);
});

test("two namespaces are looked through at once; whose answer is due does not wait for them", async () => {
  const open: (() => void)[] = [];
  const pages: SecretPages = async function* () {
    await new Promise<void>((resolve) => open.push(resolve));
    yield [secret("a", ["shared"])];
  };
  const includers = new Includers(pages, freedom);
  const due = new AbortController();
  const looks = [never, never, never, due.signal].map((signal) => includers.of(partial, signal));
  due.abort();
  expect(await looks[3]).toMatchObject({ code: "KubernetesError", message: expect.stringContaining("in time") });
  expect(open).toHaveLength(2);
  open[0]?.();
  expect(await namesOf(looks[0] as ReturnType<Includers["of"]>)).toEqual(["a"]);
  open[1]?.();
  await looks[1];
  expect(open).toHaveLength(3);
  open[2]?.();
  await looks[2];
  // The one that was due never began.
  await new Promise((resolve) => setImmediate(resolve));
  expect(open).toHaveLength(3);
});
