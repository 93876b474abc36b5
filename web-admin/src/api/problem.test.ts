import { expect, test } from "vitest";
import { asProblem, ProblemError, problemOf } from "./problem.ts";

test("a problem document is read with all its entries", async () => {
  const problem = await problemOf(
    Response.json(
      {
        title: "Invalid",
        code: "invalid",
        detail: "two fields",
        request_id: "r1",
        errors: [{ pointer: "/a", code: "x", detail: "y" }, 7],
      },
      { status: 400 },
    ),
  );
  expect(problem).toMatchObject({
    status: 400,
    code: "invalid",
    title: "Invalid",
    detail: "two fields",
    requestId: "r1",
  });
  expect(problem.errors).toEqual([{ pointer: "/a", code: "x", detail: "y" }]);
});

test("what a proxy in between answers is a problem too", async () => {
  const problem = await problemOf(
    new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "x-request-id": "r2" } }),
  );
  expect(problem).toMatchObject({ status: 502, code: "unknown", requestId: "r2", passing: true });
});

test("only what may pass is asked again", () => {
  expect(new ProblemError(0, "unreachable", "").passing).toBe(true);
  expect(new ProblemError(503, "busy", "").passing).toBe(true);
  expect(new ProblemError(404, "not_found", "").passing).toBe(false);
  expect(asProblem(new TypeError("x is not a function")).passing).toBe(false);
});
