import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Boundary } from "./boundary.tsx";
import { router } from "./router.tsx";
import { arrive } from "./session.ts";
import { takeDoubleClicksAsOne } from "./twice.ts";
// With the first page: a style that does not come once is not asked for again.
import "uplot/dist/uPlot.min.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import "./style/pages.css";
import "./style/trading.css";
import "./style/small.css";

void arrive();
takeDoubleClicksAsOne();

const place = document.getElementById("root");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <Boundary about="The console">
        <RouterProvider router={router} />
      </Boundary>
    </StrictMode>,
  );
}
