import { EventEmitter } from "node:events";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { Plaintext, PlainValue } from "../base/plaintext.ts";
import { printableFields } from "./fields.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

const canary = "canary-3b1d";

async function logged(fields: Record<string, unknown>, options: Partial<LoggerOptions> = {}): Promise<string> {
  const lines: string[] = [];
  const output = { write: (line: string) => lines.push(line) };
  const logger = await createLogger({ level: "info", format: "json", output, ...options });
  logger.debug(fields, "too fine");
  logger.warn(fields, "it happened");
  return lines.join("");
}

test("a line is JSON with level, time, message and fields", async () => {
  const line = JSON.parse(await logged({ namespace: "a", count: 2, keys: ["x", "y"], place: { mount: "m" } }));
  expect(line).toEqual({
    level: "warn",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    msg: "it happened",
    namespace: "a",
    count: 2,
    keys: ["x", "y"],
    place: { mount: "m" },
  });
});

describe("text", () => {
  test("is one line per entry, without colours where there is no terminal", async () => {
    const text = await logged({ namespace: "a" }, { format: "text" });
    expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: it happened \{"namespace":"a"\}\n$/);
  });

  test("is chosen by itself on a terminal only", async () => {
    const lines: string[] = [];
    const output = { isTTY: true, write: (line: string) => lines.push(line) };
    expect(await logged({}, { format: "auto" })).toMatch(/^\{/);
    const logger = await createLogger({ level: "info", format: "auto", output });
    logger.info({}, "it happened");
    expect(lines).toEqual([expect.stringContaining("it happened")]);
    expect(lines[0]).not.toMatch(/^\{/);
  });

  test("shows an error with its cause", async () => {
    const error = new OperatorError("VaultSealed", "sealed", { cause: new Error("inner") });
    const text = await logged({ error }, { format: "text" });
    expect(text).toMatch(/VaultSealed/);
    expect(text).toMatch(/inner/);
  });
});

describe("fields", () => {
  test("an error prints what explains it, and the chain of its causes", async () => {
    const inner = Object.assign(new TypeError("inner"), { response: { body: canary } });
    const error = new OperatorError("VaultUnavailable", "outer", { cause: inner });
    const line = JSON.parse(await logged({ error }));
    expect(line.error).toEqual({
      name: "OperatorError",
      code: "VaultUnavailable",
      message: "outer",
      cause: { name: "TypeError", message: "inner" },
    });
    expect(JSON.stringify(line)).not.toContain(canary);
  });

  test("a bug prints its stack, and those of its causes", async () => {
    const error = new OperatorError("InternalError", "outer", { cause: new TypeError("inner") });
    const line = JSON.parse(await logged({ error }));
    expect(line.error.stack).toContain("logger.test.ts");
    expect(line.error.cause.stack).toContain("logger.test.ts");
    const plain = JSON.parse(await logged({ error: new TypeError("plain") }));
    expect(plain.error.stack).toContain("logger.test.ts");
  });

  test("a chain of causes that never ends is cut", () => {
    const error = new Error("loop");
    error.cause = error;
    expect(JSON.stringify(printableFields({ error })).length).toBeLessThan(100_000);
  });

  test.each<[string, unknown]>([
    ["Plaintext", new Plaintext(Buffer.from(canary))],
    ["PlainValue", new PlainValue(canary)],
    ["a map of values", new Map([["k", new PlainValue(canary)]])],
    ["a map in a Map", new Map([["k", canary]])],
    ["bytes", Buffer.from(canary)],
    ["an object of a class", Object.assign(new EventEmitter(), { token: canary })],
    ["a list of such", [new PlainValue(canary), new Plaintext(Buffer.from(canary))]],
    ["a map of such", { one: new PlainValue(canary), two: { deep: canary } }],
    ["a function", () => canary],
    ["a symbol", Symbol(canary)],
  ])("%s does not print what it holds", async (_name, value) => {
    for (const format of ["json", "text"] as const) {
      const line = await logged({ value }, { format });
      expect(line).toContain("it happened");
      expect(line).not.toContain(canary);
      expect(line).not.toContain(Buffer.from(canary).toString("base64"));
    }
  });

  test("long texts and lists are cut", () => {
    const { text, list } = printableFields({ text: "x".repeat(10_000), list: Array.from({ length: 200 }, () => 1) });
    expect(text).toMatch(/… \(10000 characters\)$/);
    expect(list).toHaveLength(101);
  });

  test("whatever is logged makes one line of JSON", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.anything()), async (fields) => {
        const text = await logged(fields);
        expect(text.indexOf("\n")).toBe(text.length - 1);
        expect(JSON.parse(text)).toBeTypeOf("object");
      }),
      { numRuns: 200 },
    );
  });
});
