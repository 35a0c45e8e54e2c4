// One runner, six classes of test (docs/concepts and CONTRIBUTING.md name them): unit touches nothing outside the
// process, integration starts the real servers once, model plays sequences drawn at random on them, slow holds what needs
// real seconds, chaos breaks what it stands on.
import { defineConfig } from "vitest/config";

const servers = {
  globalSetup: ["test/env/global-setup.ts"],
  testTimeout: 60_000,
  hookTimeout: 120_000,
  pool: "forks" as const,
  // The tests mostly wait for servers: more at once than the machine has cores.
  maxWorkers: 4,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "src/**/*.test.ts",
            "tools/**/*.test.ts",
            "test/cli/**/*.test.ts",
            "test/env/**/*.test.ts",
            "bench/**/*.test.ts",
          ],
          testTimeout: 20_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "test/conformance/**/*.test.ts"],
          ...servers,
        },
      },
      {
        test: {
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          ...servers,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Times are measured, and each file has a stack of its own: no more at once than leave the machine some air.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "model",
          include: ["test/model/**/*.test.ts"],
          ...servers,
          // A run has a process and a namespace of its own; more at once than cores only make each slower.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "image",
          include: ["test/image/**/*.test.ts"],
          ...servers,
          globalSetup: [...servers.globalSetup, "test/image/global-setup.ts"],
          testTimeout: 300_000,
          // Building takes minutes on a slow disk.
          hookTimeout: 900_000,
          maxWorkers: 1,
        },
      },
      { test: { name: "slow", include: ["test/slow/**/*.test.ts"], ...servers, testTimeout: 180_000 } },
    ],
  },
});
