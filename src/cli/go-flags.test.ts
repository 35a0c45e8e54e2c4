import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normaliseGoFlags } from "./go-flags.ts";

const flags = [
  { name: "s", boolean: false, original: true },
  { name: "long-name", boolean: false, original: true },
  { name: "b", boolean: true, original: true },
];

// Answers of Go 1.26's flag package for the same three flags. Where it reads a value it is on the right as --name=value.
test.each<[readonly string[], readonly string[]]>([
  [[], []],
  [["-s", "v"], ["--s=v"]],
  [["--s", "v"], ["--s=v"]],
  [["-s=v"], ["--s=v"]],
  [["--s=v"], ["--s=v"]],
  [["-s="], ["--s="]],
  [["--s", ""], ["--s="]],
  [["-s=a=b"], ["--s=a=b"]],
  [["-s", "-b"], ["--s=-b"]],
  [
    ["-s", "--", "x"],
    ["--s=--", "--", "x"],
  ],
  [["-b"], ["--b=true"]],
  [["--b"], ["--b=true"]],
  [["-b=false"], ["--b=false"]],
  [["--b=true"], ["--b=true"]],
  [
    ["-b", "false"],
    ["--b=true", "--", "false"],
  ],
  [
    ["-b=F", "-s", "v"],
    ["--b=F", "--s=v"],
  ],
  [
    ["-s", "1", "-s", "2"],
    ["--s=1", "--s=2"],
  ],
  [
    ["-s", "v", "--", "-b"],
    ["--s=v", "--", "-b"],
  ],
  [
    ["--", "-b"],
    ["--", "-b"],
  ],
  [
    ["x", "-b"],
    ["--", "x", "-b"],
  ],
  [
    ["-b", "x", "-s", "v"],
    ["--b=true", "--", "x", "-s", "v"],
  ],
  [
    ["-", "-b"],
    ["--", "-", "-b"],
  ],
  [
    ["-b", "-"],
    ["--b=true", "--", "-"],
  ],
  [["-long-name=v"], ["--long-name=v"]],
  [["--long-name", "v"], ["--long-name=v"]],
  [[""], ["--", ""]],
  [
    ["-s=v", ""],
    ["--s=v", "--", ""],
  ],
  [["-h"], ["--help"]],
  [["-help"], ["--help"]],
  [["--h"], ["--help"]],
  [["--help"], ["--help"]],
])("%j reads as %j", (given, args) => {
  expect(normaliseGoFlags(given, flags)).toEqual({ args, problems: [] });
});

test.each([
  [["-s"], "flag needs an argument: -s"],
  [["--s"], "flag needs an argument: -s"],
  [["-x"], "flag provided but not defined: -x"],
  [["--x=1"], "flag provided but not defined: -x"],
  [["-x", "1"], "flag provided but not defined: -x"],
  [["-long_name"], "flag provided but not defined: -long_name"],
  [["-b", "---"], "bad flag syntax: ---"],
  // Go quotes the value as well.
  [["---s=v"], "bad flag syntax: ---s=…"],
  [["-=v"], "bad flag syntax: -=…"],
  [["--=v"], "bad flag syntax: --=…"],
])("%j is %j", (given, problem) => {
  expect(normaliseGoFlags(given, flags).problems).toEqual([problem]);
});

describe("beyond Go", () => {
  test("every problem is found, and the flags around them are read", () => {
    expect(normaliseGoFlags(["-x", "1", "--s=v", "---", "--y", "-b", "-long-name"], flags)).toEqual({
      args: ["--s=v", "--b=true"],
      problems: [
        "flag provided but not defined: -x",
        "bad flag syntax: ---",
        "flag provided but not defined: -y",
        "flag needs an argument: -long-name",
      ],
    });
  });
});

test("what is normal already stays as it is", () => {
  const value = fc.string();
  const flag = fc.oneof(
    value.map((text) => `--s=${text}`),
    fc.constantFrom("--b=true", "--b=false"),
  );
  fc.assert(
    fc.property(fc.array(flag), (given) => {
      expect(normaliseGoFlags(given, flags)).toEqual({ args: given, problems: [] });
    }),
  );
});

test.each([[["-b", "true", "-new=x"]], [["x", "--new", "y"]], [["--", "-new=x"]]])(
  "%j: a flag that the original did not have is never passed over in silence",
  (args) => {
    const { problems } = normaliseGoFlags(args, [...flags, { name: "new", boolean: false, original: false }]);
    expect(problems).toEqual([
      "-new stands behind an argument that is no flag, where nothing is read: take that away (the value of a boolean stands behind =)",
    ]);
  },
);
