import { Navigate } from "@tanstack/react-router";
import { useSession } from "../session.ts";
import { OverviewPage } from "./overview.tsx";

/** Where one begins: with the server for who may watch it, for others with the first page that is for everybody. */
export function HomePage() {
  return useSession()?.watches ? <OverviewPage /> : <Navigate to="/messages" replace />;
}
