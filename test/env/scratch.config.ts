export default {
  root: "/work/main",
  test: {
    globalSetup: ["test/env/global-setup.ts"],
    include: ["test/env/scratch.test.ts"],
    testTimeout: 60000,
    pool: "forks",
    disableConsoleIntercept: true,
  },
};
