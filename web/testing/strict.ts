import { configure } from "@testing-library/react";

// StrictMode has to be the outermost of what is rendered: within a component that is mounted with it, it mounts nothing twice.
configure({ reactStrictMode: true });
