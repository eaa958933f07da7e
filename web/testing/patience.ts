import { configure } from "@testing-library/dom";

// As long as `until` waits: what is looked for may come from a server.
configure({ asyncUtilTimeout: 20_000 });
