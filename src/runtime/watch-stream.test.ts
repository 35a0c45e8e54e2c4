import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KubeError } from "./kube-error.ts";
import { parseWatchEvent, splitLines } from "./watch-stream.ts";

async function* chunksOf(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(start, cut);
    start = cut;
  }
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

function errorOf(line: string): unknown {
  try {
    return parseWatchEvent(line, "WATCH /x");
  } catch (error) {
    return error;
  }
}

describe("splitLines", () => {
  test("gives the same lines wherever the stream is cut, inside characters too", async () => {
    const line = fc.string({ unit: "binary" }).filter((text) => !text.includes("\n") && text.trim() !== "");
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 6 }), async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(""));
        const expected = bytes.toString("utf8").split("\n").slice(0, -1);
        expect(await collect(splitLines(chunksOf(bytes, cuts)))).toEqual(expected);
      }),
    );
  });

  test("drops an event that was cut off at the end", async () => {
    const bytes = Buffer.from('{"a":1}\n{"b":');
    expect(await collect(splitLines(chunksOf(bytes, [])))).toEqual(['{"a":1}']);
  });
});

describe("parseWatchEvent", () => {
  test("gives type and object", () => {
    const line = '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}';
    expect(parseWatchEvent(line, "WATCH /x")).toEqual({
      type: "BOOKMARK",
      object: { metadata: { resourceVersion: "7" } },
    });
  });

  test("an ERROR event is the error that its Status describes", () => {
    const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
    expect(errorOf(JSON.stringify({ type: "ERROR", object: status }))).toMatchObject({
      status: 410,
      reason: "Expired",
    });
  });

  test.each(['{"type":"SURPRISE","object":{}}', '{"type":"ADDED"}', "null", "<html>"])(
    "%s is an invalid response",
    (line) => {
      expect(errorOf(line)).toMatchObject({ reason: "InvalidResponse", status: 0 });
    },
  );

  test("what is not JSON is never quoted", () => {
    const error = errorOf('{"type":"ADDED","object":{"value":"hunter2"');
    expect(error).toBeInstanceOf(KubeError);
    expect(JSON.stringify(error) + String(error) + String((error as Error).stack)).not.toContain("hunter2");
  });
});
