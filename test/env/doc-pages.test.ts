// No command stands in the installation's pages that nobody has tried: each console block is run by the page's test, or the
// page says why it is not.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { docPages } from "./doc-pages.ts";
import { isAsShown, readPage } from "./doc-page.ts";

const root = join(import.meta.dirname, "..", "..");
const pages = Object.entries(docPages).map(([page, file]) => ({ page, file }));

describe.each(pages)("$page", ({ page, file }) => {
  const { sections, marked } = readPage(readFileSync(join(root, page), "utf8"));
  const isRun = sections.some(({ steps }) => steps.some(({ kind }) => kind === "command"));

  test("is run from top to bottom by its test", () => {
    expect(existsSync(join(root, file))).toBe(isRun);
    if (isRun) expect(readFileSync(join(root, file), "utf8")).toMatch(new RegExp(`^ *runPage\\("${page}", `, "m"));
  });

  test("gives a reason for what is not run", () => {
    for (const { reason } of marked) expect(reason.length).toBeGreaterThan(15);
  });
});

describe("a page", () => {
  const text = `# Title
## One
\`\`\`console
$ first \\
    --more
$ second <<'EOF'
a: b
EOF
shown
…
\`\`\`
### Two
   \`\`\`yaml db.yaml
   spec: {}
   \`\`\`
<!-- not run by tests: needs a registry of your own -->

\`\`\`console
$ push
\`\`\`
`;

  test("is read as a reader does", () => {
    expect(readPage(text)).toEqual({
      sections: [
        {
          title: "One",
          steps: [
            { kind: "command", line: 4, command: "first \\\n    --more", output: [] },
            { kind: "command", line: 6, command: "second <<'EOF'\na: b\nEOF", output: ["shown", "…"] },
          ],
        },
        { title: "One / Two", steps: [{ kind: "file", line: 13, name: "db.yaml", text: "spec: {}\n" }] },
      ],
      marked: [{ line: 18, reason: "needs a registry of your own" }],
    });
  });

  test("has commands in its console blocks, marks in front of them, and ends for its blocks", () => {
    expect(() => readPage("```console\nls\n```\n")).toThrow("line 2");
    expect(() => readPage("```console\n$ ls # all of it\n```\n")).toThrow("line 2: a comment");
    expect(() => readPage("```console\n$ ls\n")).toThrow("no end");
    expect(() => readPage("<!-- not run by tests: why -->\nText\n")).toThrow("no block");
    expect(() => readPage("<!-- not run by tests: why -->\n```yaml\n```\n")).toThrow("only a console block");
  });
});

describe("a block that would be passed over", () => {
  test.each([
    ["in the language of a shell", "```sh\nkubectl delete ns shop\n```\n"],
    ["in bash", "text\n\n   ```bash\n   kubectl delete ns shop\n   ```\n"],
    ["with a file name", "```shell run.sh\nkubectl delete ns shop\n```\n"],
    ["without a language", "```\n$ kubectl delete ns shop\n```\n"],
    ["with attributes", "```{.console}\n$ kubectl delete ns shop\n```\n"],
    ["between tildes", "~~~console\n$ kubectl delete ns shop\n~~~\n"],
    ["in a quotation", "> ```console\n> $ kubectl delete ns shop\n> ```\n"],
  ])("is refused: %s", (_, text) => expect(() => readPage(text)).toThrow("a block"));
});

describe("what is printed", () => {
  const shown = ["NAME   AGE", "db     2s"];

  test.each([
    ["the same", shown, "NAME  AGE\ndb   2s\n"],
    ["another duration and other blanks", shown, "NAME        AGE   \ndb   1m30s\n"],
    ["what … stands for", ["AQIC… and", "…", "end"], "AQICAHhx and\none\ntwo\nend\n"],
    ["nothing where … stands for lines", ["a", "…"], "a\n"],
  ])("is as shown: %s", (_, page, printed) => expect(isAsShown(page, printed)).toBe(true));

  test.each([
    ["another word", "NAME AGE\ndc 2s\n"],
    ["a line more", "NAME AGE\ndb 2s\nWarning\n"],
    ["a line less", "NAME AGE\n"],
    ["no duration", "NAME AGE\ndb never\n"],
  ])("is not as shown: %s", (_, printed) => expect(isAsShown(shown, printed)).toBe(false));
});
