// How the unit tests run: a browser's DOM where a test asks for one, and the build's constants.
import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { __VERSION__: JSON.stringify("1.0.0"), __PAYMENTS_INTEGRITY__: JSON.stringify("") },
  test: { include: ["tests/**/*.test.{ts,tsx}"], watch: false, testTimeout: 120_000, hookTimeout: 120_000 },
});
