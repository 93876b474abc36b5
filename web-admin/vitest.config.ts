import { defineConfig } from "vitest/config";

// The small pure parts, beside their code; what needs a page is in e2e/.
export default defineConfig({ test: { include: ["src/**/*.test.ts"], environment: "node" } });
