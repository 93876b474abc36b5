import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { curl, quoted } from "./curl.ts";

test("a write names its token by a variable, its version and its body", () => {
  const text = curl({
    method: "PUT",
    url: "http://127.0.0.1:8001/v1/services/orders",
    ifMatch: '"42"',
    body: { name: "orders" },
  });
  expect(text).toBe(
    [
      "curl -X PUT http://127.0.0.1:8001/v1/services/orders \\",
      '  -H "Authorization: Bearer $TOKEN" \\',
      "  -H 'If-Match: \"42\"' \\",
      "  -H 'Content-Type: application/json' \\",
      "  -d '{",
      '  "name": "orders"',
      "}'",
    ].join("\n"),
  );
});

test("whatever an operator typed is one word of a shell", () => {
  for (const nasty of ["it's", "$(touch x)", "`id`", "a b\nc", "", "\\", '"', "!!", "*", "~", "a;b|c&d"]) {
    expect(execFileSync("sh", ["-c", `printf %s ${quoted(nasty)}`], { encoding: "utf8" })).toBe(nasty);
  }
});
