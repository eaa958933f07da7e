import { builtinEnvironments } from "vitest/runtime";

/** A document for tests of components, in the same world as the Node parts that start servers for them. */
export default { ...builtinEnvironments.jsdom, name: "dom", viteEnvironment: "ssr" };
