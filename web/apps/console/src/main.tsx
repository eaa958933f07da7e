import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Refusal } from "@tidings/client";
import { Boundary } from "./boundary.tsx";
import { router } from "./router.tsx";
import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/pages.css";
import "./style/trading.css";
import "./style/small.css";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refuses it will refuse again; what did not reach it is tried until it does.
      retry: (failures, error) => (error instanceof Refusal ? error.retryable : failures < 5),
      refetchOnWindowFocus: false,
    },
  },
});

const place = document.getElementById("root");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <Boundary about="The console">
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </Boundary>
    </StrictMode>,
  );
}
