import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  believedMount,
  dataAddress,
  dataPath,
  destinationBelow,
  isBelow,
  metadataAddress,
  type Mount,
  parsePath,
} from "./address.ts";
import type { EngineVersion } from "./engine.ts";

const mount = (path: string, engineVersion: EngineVersion): Mount => ({ path, engineVersion });

/** Segments that a user might write, `data` and `metadata` among them more often than by chance. */
const segment = fc.oneof(
  fc.constantFrom("data", "metadata", "secret", "a b", "a%2Fb", "ü?#", "..x"),
  fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 8 })
    .filter((text) => !/[/\p{Cc}\p{Cs}]/u.test(text) && text !== "." && text !== ".."),
);
const segments = fc.array(segment, { minLength: 1, maxLength: 4 });
const version = fc.constantFrom<EngineVersion>("v1", "v2");
const slashes = fc.integer({ min: 1, max: 3 }).map((count) => "/".repeat(count));

describe("paths", () => {
  test("slashes at the ends and double ones do not matter", () => {
    fc.assert(
      fc.property(segments, slashes, (parts, slash) => {
        expect(parsePath(`${slash}${parts.join(slash)}${slash}`)).toEqual(parts);
      }),
    );
  });

  test.each(["", "/", "//", "a/./b", "..", "a/..", "a/b\n", "a\u0000", "a\u0085b", "a/\ud800"])(
    "%j is refused",
    (path) => {
      expect(() => parsePath(path)).toThrow(expect.objectContaining({ code: "InvalidPath", retry: "terminal" }));
    },
  );

  test.each(["...", ".a", "a..b", "a b", "é€", "a%2e%2e", "😀"])("%j is accepted", (path) => {
    expect(parsePath(path)).toEqual([path]);
  });
});

describe("destinations", () => {
  test.each([
    ["secret/x", "v2", "x"],
    ["secret/data/x", "v2", "x"],
    ["secret/data/data/x", "v2", "data/x"],
    ["secret/data/data", "v2", "data"],
    ["secret/metadata/x", "v2", "metadata/x"],
    ["secret/x/data/y", "v2", "x/data/y"],
    ["secret/data/x", "v1", "data/x"],
    ["secret/data", "v1", "data"],
  ] as const)("%s on %s is %s", (path, engineVersion, logical) => {
    const destination = destinationBelow(mount("secret", engineVersion), parsePath(path), "");
    expect(destination).toEqual({ namespace: "", mount: "secret", engineVersion, path: logical });
  });

  test.each([
    ["secret", "secret", "v1"],
    ["secret", "secret", "v2"],
    ["secret/data", "secret", "v2"],
    ["team/kv", "team/kv", "v2"],
  ] as const)("%s is only the mount %s on %s", (path, at, engineVersion) => {
    expect(() => destinationBelow(mount(at, engineVersion), parsePath(path), "")).toThrow(
      expect.objectContaining({ code: "InvalidPath" }),
    );
  });

  test("on KV v2 the API path and the logical path are the same destination", () => {
    fc.assert(
      fc.property(segments, segments, (at, logical) => {
        fc.pre(logical[0] !== "data");
        const kv = mount(at.join("/"), "v2");
        expect(destinationBelow(kv, [...at, "data", ...logical], "")).toEqual(
          destinationBelow(kv, [...at, ...logical], ""),
        );
      }),
    );
  });

  test("every logical path can be named, also one that begins with data", () => {
    fc.assert(
      fc.property(segments, segments, version, (at, logical, engineVersion) => {
        const api = engineVersion === "v2" ? ["data"] : [];
        const { path } = destinationBelow(mount(at.join("/"), engineVersion), [...at, ...api, ...logical], "");
        expect(path).toBe(logical.join("/"));
      }),
    );
  });

  test("the believed mount leads to the address that the user wrote", () => {
    fc.assert(
      fc.property(segments, segments, version, (at, logical, engineVersion) => {
        fc.pre(!at.includes("data"));
        const written = engineVersion === "v2" ? [...at, "data", ...logical] : [...at, ...logical];
        const believed = believedMount(written, engineVersion);
        expect(isBelow(written, believed.path.split("/"))).toBe(true);
        if (written.length < 2) return;
        expect(dataPath(destinationBelow(believed, written, ""))).toBe(written.join("/"));
      }),
    );
  });
});

describe("addresses", () => {
  test("decode to what they were made of and mean nothing else in a URL", () => {
    fc.assert(
      fc.property(segments, segments, version, (at, logical, engineVersion) => {
        const destination = { namespace: "", mount: at.join("/"), engineVersion, path: logical.join("/") };
        const address = dataAddress(destination);
        const api = engineVersion === "v2" ? ["data"] : [];
        expect(address.split("/").map(decodeURIComponent)).toEqual([...at, ...api, ...logical]);
        const url = new URL(`http://vault/v1/${address}`);
        expect([url.pathname, url.search, url.hash]).toEqual([`/v1/${address}`, "", ""]);
      }),
    );
  });

  test("metadata is built from the mount, whatever the path holds", () => {
    const destination = {
      namespace: "",
      mount: "team/secret",
      engineVersion: "v2",
      path: "x/team/secret/data/y",
    } as const;
    expect(metadataAddress(destination)).toBe("team/secret/metadata/x/team/secret/data/y");
  });

  test("people are told the namespace too", () => {
    const destination = { namespace: "team", mount: "kv", engineVersion: "v2", path: "a b" } as const;
    expect(dataPath(destination)).toBe("kv/data/a b (namespace team)");
  });
});
