import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import type { Rule } from "./rules.ts";

function rulesOf(text: string): readonly Rule[] {
  const parsed = parsePolicy(text);
  if ("problems" in parsed) throw new Error(parsed.problems.join("; "));
  return parsed.rules;
}

function problemsOf(text: string): readonly string[] {
  const parsed = parsePolicy(text);
  return "problems" in parsed ? parsed.problems : [];
}

const whole = `
rules:
  - name: teams
    namespaces:
      names: ["team-*"]
      labels: {tenant: "*", "example.com/stage": prod}
    vaultPaths: ["secret/{{namespace}}/**", "kv/{{label:tenant}}/*"]
    vaultNamespaces: ["", "teams/{{namespace}}"]
    authMethods: [k8s]
    vaultRoles: ["{{namespace}}-*"]
    serviceAccounts: ["app-*"]
    kmsKeys: ["arn:aws:kms:eu-west-1:111122223333:key/k", "alias/app", "age1x", "transit/app"]
    kmsRoleArns: ["arn:aws:iam::111122223333:role/{{namespace}}"]
    require: {bindContext: Namespace, serviceAccountRef: true}
  - name: nothing
    vaultPaths: []
`;

test("everything that may stand there, as YAML and as JSON", () => {
  expect(rulesOf(whole).map(({ name }) => name)).toEqual(["teams", "nothing"]);
  expect(rulesOf('{"rules": [{"name": "a", "vaultPaths": ["**"]}]}')).toHaveLength(1);
  expect(rulesOf("rules: []")).toEqual([]);
});

describe("is no policy:", () => {
  test.each<[what: string, text: string, problems: readonly string[]]>([
    ["an empty file", "", ["is empty; to deny everything write rules: []"]],
    ["comments alone", "# rules: []\n", ["is empty; to deny everything write rules: []"]],
    ["a text", "hunter2", ["line 1: must be a map"]],
    ["no rules", "{}", ["line 1, rules: must be a list"]],
    ["rules that are none", "rules:\n", ["line 1, rules: must be a list"]],
    ["an unknown field", "rules: []\nrule: []", ["line 2, rule: is not a field that is known here"]],
    [
      "a rule without anything",
      "rules: [{}]",
      ["line 1, rules[0].name: must be a text", "line 1, rules[0].vaultPaths: must be a list"],
    ],
    ["an empty name", "rules: [{name: '', vaultPaths: []}]", ["line 1, rules[0].name: must not be empty"]],
    [
      "a name given twice",
      "rules:\n- {name: a, vaultPaths: []}\n- {name: a, vaultPaths: []}",
      ["line 3, rules[1].name: is the name of another rule too"],
    ],
    [
      "a list without a value",
      "rules:\n- name: a\n  vaultPaths: []\n  kmsKeys:\n",
      ["line 4, rules[0].kmsKeys: must be a list"],
    ],
    [
      "the same twice in a list",
      "rules:\n- name: a\n  namespaces: {names: [b, b]}\n  vaultPaths:\n  - kv/x\n  - kv/x",
      [
        "line 6, rules[0].vaultPaths[1]: stands in the list twice",
        "line 3, rules[0].namespaces.names[1]: stands in the list twice",
      ],
    ],
    [
      "namespaces that would be none",
      "rules: [{name: a, namespaces: {names: [], labels: {}}, vaultPaths: []}]",
      ["line 1, rules[0].namespaces.names: must not be empty", "line 1, rules[0].namespaces.labels: must not be empty"],
    ],
    [
      "labels that cannot be",
      'rules: [{name: a, namespaces: {labels: {"a b": x, ok: "team-*"}}, vaultPaths: []}]',
      [
        "line 1, rules[0].namespaces.labels.a b: must be the key of a label",
        "line 1, rules[0].namespaces.labels.ok: must be the value of a label, or * for any that is not empty",
      ],
    ],
    [
      "paths that are none",
      "rules: [{name: a, vaultPaths: [secret, 'secret/**/x', 3]}]",
      [
        "line 1, rules[0].vaultPaths[0]: must name a path below a mount: secret/team/**",
        "line 1, rules[0].vaultPaths[1]: must have ** only as its whole last segment",
        "line 1, rules[0].vaultPaths[2]: must be a text",
      ],
    ],
    [
      "a method and a binding that there are not",
      "rules: [{name: a, vaultPaths: [], authMethods: [kerberos], require: {bindContext: namespace}}]",
      [
        "line 1, rules[0].authMethods[0]: must be one of k8s, token, userpass, approle, github, iam, jwt, cert, ldap",
        "line 1, rules[0].require.bindContext: must be one of None, Namespace, Object, Key",
      ],
    ],
    [
      "a pattern of keys",
      "rules: [{name: a, vaultPaths: [], kmsKeys: ['alias/*']}]",
      ["line 1, rules[0].kmsKeys[0]: must be one key, or * alone for any"],
    ],
    [
      "a quoted truth",
      "rules: [{name: a, vaultPaths: [], require: {serviceAccountRef: 'yes'}}]",
      ["line 1, rules[0].require.serviceAccountRef: must be true or false"],
    ],
  ])("%s", (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  test.each([
    ["half a file", "rules: [{name: a"],
    ["a key given twice", "rules: []\nrules: []"],
    ["two documents", "rules: []\n---\nrules: []"],
    ["a tag of its own", "rules: !mine []"],
    ["an alias of nothing", "rules: *nothing"],
  ])("%s, with the line", (_, text) => {
    const problems = problemsOf(text);
    expect(problems).not.toEqual([]);
    for (const problem of problems) expect(problem).toMatch(/^(line \d|Unresolved alias)/);
  });

  test("aliases of aliases without end", () => {
    const levels = Array.from({ length: 12 }, (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n},`.repeat(10)}]`);
    expect(problemsOf(`l0: &l0 [x]\n${levels.join("\n")}\nrules: *l12`)).not.toEqual([]);
  });
});
