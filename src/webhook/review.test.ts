import { expect, test } from "vitest";
import { answerTo, parseReview, type Review } from "./review.ts";

const request = { uid: "u", kind: { group: "g", version: "v1", kind: "K" }, operation: "CREATE" };

function review(): Review {
  const parsed = parseReview({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
}

function responseTo(problems: readonly string[], warnings: readonly string[] = []) {
  const answer = answerTo(review(), { isAllowed: problems.length === 0, problems, warnings });
  return (answer as { response: { status?: { message: string }; warnings?: string[] } }).response;
}

test("one problem stands alone, several are a line each, very many are counted", () => {
  expect(responseTo(["a: b"]).status?.message).toBe("a: b");
  expect(responseTo(["a", "b"]).status?.message).toBe("a\nb");
  const many = Array.from({ length: 30 }, (_, index) => `problem ${index}`);
  expect(responseTo(many).status?.message.split("\n")).toEqual([...many.slice(0, 20), "and 10 more"]);
});

test("warnings fit into a header: one line, 256 characters", () => {
  const { warnings = [] } = responseTo([], ["a\nb\u0007c", "x".repeat(1_000)]);
  expect(warnings[0]).toBe("a b c");
  expect(warnings[1]).toHaveLength(256);
});

test("nothing that is missing is made up", () => {
  expect(review()).toEqual({
    apiVersion: "admission.k8s.io/v1",
    uid: "u",
    kind: "g/K",
    namespace: "",
    name: "",
    operation: "CREATE",
    subresource: "",
    user: "",
    isDryRun: false,
    object: undefined,
    oldObject: undefined,
  });
});
