import { expect, test } from "vitest";
import { checkFile } from "./check.ts";

const accepted: Array<[file: string, source: string]> = [
  ["sync/plan.ts", `import { OperatorError } from "../base/errors.ts"; import { x } from "./digest.ts";`],
  ["sync/plan.ts", `import type { KVEngine } from "../vault/kv/engine.ts";`],
  ["sync/plan.ts", `import { type KVEngine, type Revision } from "../vault/kv/engine.ts";`],
  ["sync/plan.ts", `// import "../vault/x.ts"\nconst text = 'import "../vault/x.ts"; process.env.A; Date.now()';`],
  ["controller/status.ts", `import { plan } from "../sync/plan.ts"; import { Store } from "../runtime/store.ts";`],
  ["operator.ts", `import { a } from "./config.ts"; import { b } from "./vault/factory.ts";`],
  ["cli/commands/run.ts", `import { a } from "../../operator.ts"; import { b } from "../../config.ts";`],
  ["version.ts", `import it from "../package.json" with { type: "json" };`],
  ["runtime/client.ts", `import { Agent } from "undici";`],
  ["runtime/store.ts", `import type { Dispatcher } from "undici";`],
  ["vault/connections.ts", `import { Agent } from "undici"; import { connect } from "node:tls";`],
  ["kms/aws.ts", `import { KMSClient } from "@aws-sdk/client-kms";`],
  ["config.ts", `const a = process.env.A;`],
  ["base/clock.ts", `const a = Date.now(); setTimeout(() => {}, 1); performance.now();`],
  ["sync/plan.ts", `const time = new Date(clock.now()).toISOString(); clock.setTimeout(); Date.parse("");`],
  [
    "sync/plan.test.ts",
    `import { secret } from "../../test/gen/secrets.ts"; import { x } from "../vault/a.ts"; Date.now();`,
  ],
];

test.each(accepted)("%s may: %s", (file, source) => {
  expect(checkFile(file, source)).toEqual([]);
});

const refused: Array<[file: string, source: string, message: string]> = [
  ["sync/plan.ts", `import { v2 } from "../vault/kv/v2.ts";`, "sync may not import values from vault"],
  ["sync/plan.ts", `import { v2, type X } from "../vault/kv/v2.ts";`, "sync may not import values from vault"],
  ["sync/plan.ts", `import "../vault/kv/v2.ts";`, "sync may not import values from vault"],
  ["sync/plan.ts", `export { v2 } from "../vault/kv/v2.ts";`, "sync may not import values from vault"],
  ["sync/plan.ts", `export * from "../runtime/store.ts";`, "sync may not import anything from runtime"],
  ["vault/client.ts", `import type { Entry } from "../api/kinds.ts";`, "vault may not import anything from api"],
  ["kms/aws.ts", `type T = import("../api/kinds.ts").Entry;`, "kms may not import anything from api"],
  [
    "runtime/store.ts",
    `const x = await import("../telemetry/metrics.ts");`,
    "runtime may not import anything from telem",
  ],
  [
    "controller/status.ts",
    `import type { A } from "../vault/vault.ts";`,
    "controller may not import anything from vault",
  ],
  ["api/kinds.ts", `import { config } from "../config.ts";`, "api may not import anything from root"],
  ["controller/x.ts", `import { start } from "../operator.ts";`, "controller may not import anything from operator.ts"],
  ["base/errors.ts", `import { x } from "../api/kinds.ts";`, "base may not import anything from api"],
  ["helpers/x.ts", `import { x } from "../base/errors.ts";`, "helpers/ is no folder that the architecture knows"],
  ["sync/plan.ts", `import { x } from "./plan.test.ts";`, "a test is not imported"],
  ["sync/plan.ts", `import { secret } from "../../test/gen/secrets.ts";`, "outside src"],
  ["sync/plan.ts", `import { x } from "./digest";`, "carry the .ts extension"],
  ["sync/index.ts", ``, "there are no index.ts"],
  ["runtime/store.ts", `import { request } from "undici";`, "undici: the network is for runtime/client.ts"],
  ["runtime/store.ts", `await fetch("http://x");`, "fetch: the network"],
  ["vault/kv/v2.ts", `import { request } from "node:https";`, "the network is for vault/connections.ts"],
  ["sync/plan.ts", `import net from "node:net";`, "the network is for no file in sync/"],
  ["kms/cipher.ts", `import type { KMSClient } from "@aws-sdk/client-kms";`, "the AWS SDK is for kms/aws.ts"],
  ["vault/auth/userpass.ts", `const p = process.env["VAULT_PASSWORD"];`, "process.env: the environment"],
  ["vault/auth/userpass.ts", `const { env } = process;`, "process.env: the environment"],
  ["vault/auth/userpass.ts", `import { env } from "node:process";`, "node:process: the environment"],
  ["vault/session.ts", `const now = Date.now();`, "Date.now: the clock is for base/clock.ts"],
  ["vault/session.ts", `const now = new Date();`, "new Date: the clock"],
  ["vault/session.ts", `globalThis.setTimeout(() => {}, 1);`, "setTimeout: the clock"],
  ["vault/session.ts", `setTimeout(() => {}, 1);`, "setTimeout: the clock"],
  [
    "vault/session.ts",
    `import { setTimeout as sleep } from "node:timers/promises";`,
    "node:timers/promises: the clock",
  ],
  ["vault/session.ts", `performance["now"]();`, "performance.now: the clock"],
];

test.each(refused)("%s may not: %s", (file, source, message) => {
  const messages = checkFile(file, source).map((violation) => violation.message);
  expect(messages).toHaveLength(1);
  expect(messages[0]).toContain(message);
});

test("a violation names the line", () => {
  const [violation] = checkFile("sync/plan.ts", `\n\nimport { x } from "../runtime/store.ts";`);
  expect(violation).toMatchObject({ file: "src/sync/plan.ts", line: 3 });
});

test("a file that cannot be parsed is an error, not a file without imports", () => {
  expect(() => checkFile("sync/plan.ts", "import {")).toThrow("src/sync/plan.ts cannot be parsed".slice(4));
});
