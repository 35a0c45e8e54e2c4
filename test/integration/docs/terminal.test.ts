// The terminal in which the pages are run is no kinder than it looks: what fails is seen, wherever on the line it stands.
import { expect, inject, test } from "vitest";
import { DocShell } from "../../env/doc-shell.ts";

test("a command that fails in front of a pipe fails the page", async () => {
  await using shell = await DocShell.open({ stack: inject("stack") });
  const follow = (command: string) => shell.follow({ kind: "command", line: 1, command, output: [] });
  await follow("true | cat");
  await expect(follow("false | cat")).rejects.toThrow("line 1: the command failed (1)");
  await expect(follow("kubectl get colours | xargs -r echo")).rejects.toThrow("the command failed");
});
