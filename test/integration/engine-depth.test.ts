// Where a KV engine is mounted and how a path is spelled makes no difference to what happens to the secret: mounts of
// any depth, `data/` or not, logical paths that begin with `data` themselves or hold what needs encoding.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { startWorld, type World } from "./world.ts";

const deep = uniqueName("deep");
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
  const mounts = [
    [`${deep}/a/b/c/kv1`, "1"],
    [`${deep}/a/b/c/kv2`, "2"],
    [`${deep}/data`, "2"],
    [`${deep}/metadata/data`, "2"],
  ] as const;
  for (const [mount, version] of mounts) {
    await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version } });
    if (version === "2") await eventually(async () => expect(await world.vault.read(`${mount}/config`)).toBeDefined());
  }
});
afterAll(() => world[Symbol.asyncDispose]());

interface Case {
  readonly what: string;
  readonly path: string;
  readonly mount: string;
  /** The logical path. */
  readonly at: string;
}

const kv2 = `${deep}/a/b/c/kv2`;
const onV2: readonly Case[] = [
  { what: "deep, with data/", path: `${kv2}/data/x/one`, mount: kv2, at: "x/one" },
  { what: "deep, without data/", path: `${kv2}/x/two`, mount: kv2, at: "x/two" },
  { what: "a logical path that begins with data", path: `${kv2}/data/data/three`, mount: kv2, at: "data/three" },
  { what: "data in the midst of it", path: `${kv2}/x/data/four`, mount: kv2, at: "x/data/four" },
  { what: "the text secret/data/ in it", path: `${kv2}/secret/data/five`, mount: kv2, at: "secret/data/five" },
  { what: "a mount called data", path: `${deep}/data/six`, mount: `${deep}/data`, at: "six" },
  { what: "a mount called data, with data/", path: `${deep}/data/data/seven`, mount: `${deep}/data`, at: "seven" },
  {
    what: "a mount below metadata",
    path: `${deep}/metadata/data/data/eight`,
    mount: `${deep}/metadata/data`,
    at: "eight",
  },
  { what: "slashes too many", path: `//${kv2}//data///x/nine/`, mount: kv2, at: "x/nine" },
  { what: "what needs encoding", path: `${kv2}/data/ü b/100% #?`, mount: kv2, at: "ü b/100% #?" },
];

describe("KV v2:", () => {
  test.each(onV2)("$what", async ({ what, path, mount, at }) => {
    const name = what
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replace(/-$/, "");
    const encoded = at.split("/").map(encodeURIComponent).join("/");
    const neighbour = `${mount}/data/${encoded}-below/x`;
    await world.vault.write(neighbour, { data: { k: "neighbour" } });
    const spec = { path, deletionPolicy: "Destroy" };
    const object = await world.sync(name, { ...spec, secrets: await world.entries({ k: "1" }) });
    expect(object.status.vault).toMatchObject({ mount, path: at, engineVersion: "v2", version: 1 });
    await world.sync(name, { ...spec, secrets: await world.entries({ k: "2" }) });
    expect((await world.vault.read(`${mount}/data/${encoded}`)).data).toEqual({ k: "2" });
    const metadata = await world.vault.read(`${mount}/metadata/${encoded}`);
    expect(metadata).toMatchObject({ current_version: 2, custom_metadata: { uid: object.metadata.uid } });
    await world.remove(name);
    expect(await world.vault.read(`${mount}/metadata/${encoded}`)).toBeUndefined();
    expect((await world.vault.read(neighbour)).data).toEqual({ k: "neighbour" });
  });
});

const kv1 = `${deep}/a/b/c/kv1`;
const onV1: readonly Case[] = [
  { what: "v1-deep", path: `${kv1}/x/one`, mount: kv1, at: "x/one" },
  { what: "v1-data-is-a-name", path: `${kv1}/data/two`, mount: kv1, at: "data/two" },
  { what: "v1-metadata-is-a-name", path: `${kv1}/metadata/three`, mount: kv1, at: "metadata/three" },
];

describe("KV v1:", () => {
  test.each(onV1)("$what", async ({ what, path, mount, at }) => {
    const spec = { path, deletionPolicy: "Destroy" };
    const object = await world.sync(what, { ...spec, secrets: await world.entries({ k: "1" }) });
    expect(object.status.vault).toEqual({ mount, path: at, engineVersion: "v1" });
    expect(await world.vault.read(`${mount}/${at}`)).toEqual({ k: "1" });
    await world.remove(what);
    expect(await world.vault.read(`${mount}/${at}`)).toBeUndefined();
  });
});
