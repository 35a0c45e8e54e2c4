import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PathPattern, PatternError, type TemplateValues, TextPattern } from "./pattern.ts";

function values(labels: Readonly<Record<string, string>> = {}, namespace = "team-a"): TemplateValues {
  return { namespace, label: (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined) };
}

function isPath(pattern: string, path: string, given = values()): boolean {
  return new PathPattern(pattern).matches(path.split("/"), given);
}

describe("a pattern of a path", () => {
  test.each<[pattern: string, path: string, matches: boolean]>([
    ["secret/app", "secret/app", true],
    ["secret/app", "secret/app/x", false],
    ["secret/app", "secret", false],
    ["secret/app", "Secret/app", false],
    ["secret/*", "secret/app", true],
    ["secret/*", "secret/app/x", false],
    ["secret/*", "secret/", false],
    ["secret/a*z", "secret/az", true],
    ["secret/a*z", "secret/a/z", false],
    ["secret/a*b*c", "secret/abbc", true],
    ["secret/a*b*c", "secret/ac", false],
    ["secret/ab*ba", "secret/aba", false],
    ["secret/ab*ba", "secret/abba", true],
    ["secret/**", "secret/a/b/c", true],
    ["secret/**", "secret/a", true],
    ["secret/**", "secret", false],
    ["secret/**", "secrets/a", false],
    ["secret/**", "secret/../a", false],
    ["secret/**", "secret/./a", false],
    ["secret/**", "secret//a", false],
    ["*/team/x", "kv/team/x", true],
    ["**", "any/thing", true],
    ["secret/{{namespace}}/*", "secret/team-a/x", true],
    ["secret/{{namespace}}/*", "secret/team-b/x", false],
    ["secret/x-{{ namespace }}-*", "secret/x-team-a-1", true],
    ["secret/*{{namespace}}", "secret/team-b-team-a", true],
    ["secret/{{label:tenant}}/x", "secret/blue/x", true],
    ["secret/{{label:example.com/tenant}}/x", "secret/green/x", true],
    ["secret/{{label:missing}}/x", "secret//x", false],
    ["secret/{{label:empty}}-x", "secret/-x", false],
    ["secret/{{label:toString}}/x", "secret/x/x", false],
    // Composed and decomposed, and letters that look like others, are other texts.
    ["secret/caf\u00e9", "secret/cafe\u0301", false],
    ["secret/app", "secret/\u0430pp", false],
  ])("%s: %s is %s", (pattern, path, matches) => {
    expect(isPath(pattern, path, values({ tenant: "blue", "example.com/tenant": "green", empty: "" }))).toBe(matches);
  });

  test.each([
    "",
    "/secret/a",
    "secret/a/",
    "secret//a",
    "secret/../a",
    "secret/.",
    "/**",
    "secret/**/a",
    "secret/a**",
    "secret/***",
    "secret/{{name}}",
    "secret/{{label:}}",
    "secret/{{label:a b}}",
    "secret/{{namespace",
    "secret/namespace}}",
    "secret/{{{{namespace}}}}",
    "secret/\u0000",
    "secret/\ud800",
  ])("%j is none", (source) => {
    expect(() => new PathPattern(source)).toThrow(PatternError);
  });

  test("what is not known of a namespace is asked only where the pattern goes by it", () => {
    const unknown: TemplateValues = {
      namespace: "team-a",
      label: () => {
        throw new Error("not known");
      },
    };
    expect(isPath("secret/{{namespace}}/*", "secret/team-a/x", unknown)).toBe(true);
    expect(() => isPath("secret/{{label:tenant}}/*", "secret/team-a/x", unknown)).toThrow("not known");
  });
});

describe("what a template puts in", () => {
  const segment = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter((text) => !/^\.{1,2}$/.test(text));
  // What Kubernetes would let nobody have, too.
  const hostile = fc.oneof(
    segment,
    fc.constantFrom("*", "**", "a*", "{{namespace}}", "{{label:x}}", "a/b", "..", "data"),
  );

  test("stands for itself alone: a segment of it matches that text and no other", () => {
    fc.assert(
      fc.property(hostile, segment, (value, other) => {
        const given = values({ tenant: value }, value);
        for (const pattern of ["kv/{{namespace}}/*", "kv/{{label:tenant}}/*"]) {
          const matches = new PathPattern(pattern).matches(["kv", other, "x"], given);
          expect(matches).toBe(other === value);
        }
      }),
    );
  });

  test("adds no segment and no star: the number of segments is the pattern's", () => {
    fc.assert(
      fc.property(hostile, fc.array(segment, { minLength: 1, maxLength: 4 }), (value, path) => {
        const given = values({ tenant: value }, value);
        const matches = new PathPattern("{{label:tenant}}/{{namespace}}").matches(path, given);
        expect(matches).toBe(path.length === 2 && path.every((part) => part === value) && !value.includes("/"));
      }),
    );
  });

  test("two tenants never share what a pattern of their own allows", () => {
    fc.assert(
      fc.property(hostile, hostile, fc.array(segment, { minLength: 1, maxLength: 5 }), (one, two, path) => {
        fc.pre(one !== two);
        const pattern = new PathPattern("secret/{{namespace}}/**");
        const whole = ["secret", ...path];
        expect(pattern.matches(whole, values({}, one)) && pattern.matches(whole, values({}, two))).toBe(false);
      }),
    );
  });
});

describe("a pattern of a text", () => {
  test.each<[pattern: string, text: string, matches: boolean]>([
    ["app-*", "app-one", true],
    ["app-*", "app-", true],
    ["app-*", "other-app-one", false],
    ["*", "", true],
    ["{{namespace}}-*", "team-a-x", true],
    ["{{namespace}}-*", "team-ab", false],
    ["arn:aws:iam::1:role/{{namespace}}", "arn:aws:iam::1:role/team-a", true],
    ["arn:aws:iam::1:role/{{namespace}}", "arn:aws:iam::1:role/team-a/x", false],
  ])("%s: %s is %s", (pattern, text, matches) => {
    expect(new TextPattern(pattern).matches(text, values())).toBe(matches);
  });

  test("a star matches what a search by hand finds", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "*"), minLength: 1, maxLength: 8 });
    const texts = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 });
    fc.assert(
      fc.property(letters, texts, (pattern, text) => {
        fc.pre(!pattern.includes("**"));
        const expected = new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text);
        expect(new TextPattern(pattern).matches(text, values())).toBe(expected);
      }),
    );
  });

  test("its only text, where it has one", () => {
    expect(new TextPattern("role/{{namespace}}").literal(values())).toBe("role/team-a");
    expect(new TextPattern("role/*").literal(values())).toBeUndefined();
    expect(new TextPattern("role/{{label:x}}").literal(values())).toBeUndefined();
  });
});
