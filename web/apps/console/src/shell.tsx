import { QueryClientProvider } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { TidingsProvider, useConnection } from "@tidings/react";
import { useMounted } from "./api.ts";
import { Boundary } from "./boundary.tsx";
import { Proofs } from "./confirm.tsx";
import { SignIn } from "./pages/sign_in.tsx";
import { signOut, useSession, type SignedIn } from "./session.ts";

/** What there is, in groups, and for whom. */
const PLACES = [
  {
    name: "Server",
    places: [
      { to: "/", name: "Overview", for: "watchers" },
      { to: "/usage", name: "Usage", for: "watchers" },
      { to: "/rooms", name: "Rooms", for: "watchers" },
      { to: "/sockets", name: "Sockets", for: "watchers" },
      { to: "/users", name: "Users", for: "watchers" },
      { to: "/messages", name: "Messages", for: "everybody" },
      { to: "/dead-letters", name: "Dead letters", for: "admins" },
    ],
  },
  {
    name: "Access",
    places: [
      { to: "/accounts", name: "Accounts", for: "admins" },
      { to: "/keys", name: "API keys", for: "admins" },
      { to: "/audit", name: "Audit log", for: "watchers" },
      { to: "/second-factor", name: "Second factor", for: "everybody" },
    ],
  },
  {
    name: "Arena",
    places: [
      { to: "/leaderboard", name: "Leaderboard", for: "everybody" },
      { to: "/matches", name: "Matches", for: "everybody" },
      { to: "/players", name: "Players", for: "everybody" },
    ],
  },
  { name: "Trading", places: [{ to: "/trading", name: "Trading rooms", for: "everybody" }] },
  {
    name: "About",
    places: [
      { to: "/docs", name: "API", for: "everybody" },
      { to: "/apps", name: "Apps", for: "everybody" },
    ],
  },
] as const;

/** The frame around every page; a sign-in where nobody has signed in. */
export function Shell() {
  const session = useSession();
  if (!session) return <SignIn />;
  return (
    <QueryClientProvider client={session.queries}>
      <TidingsProvider client={session.client}>
        <Proofs>
          <Frame session={session} />
        </Proofs>
      </TidingsProvider>
    </QueryClientProvider>
  );
}

function Frame({ session: { userId, name, org, isAdmin, watches } }: { session: SignedIn }) {
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const mounted = { Arena: useMounted("arena"), Trading: useMounted("trading") };
  const isFor = { everybody: true, watchers: watches, admins: isAdmin };
  const shown = PLACES.filter(({ name }) => mounted[name as keyof typeof mounted] ?? !(name in mounted))
    .map(({ name, places }) => ({ name, places: places.filter((place) => isFor[place.for]) }))
    .filter(({ places }) => places.length > 0);
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    // Who does not see the page change is told by the focus; not when it is first opened.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [path]);
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="bar">
        <Link to="/" className="brand">
          <img src="/assets/favicon.svg" alt="" width="28" height="28" />
          Tidings
        </Link>
        <Connection />
        <button
          type="button"
          className="menu"
          aria-expanded={open}
          aria-controls="places"
          onClick={() => setOpen(!open)}
        >
          Menu
        </button>
      </header>
      <nav id="places" aria-label="Pages" data-open={open}>
        {shown.map(({ name, places }) => (
          <div key={name}>
            <h2>{name}</h2>
            <ul>
              {places.map((place) => (
                <li key={place.to}>
                  <Link to={place.to} activeOptions={{ exact: place.to === "/" }}>
                    {place.name}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
        <div className="who">
          <p>
            <b>{name ?? userId}</b>
            <br />
            {name !== undefined && name !== userId && (
              <>
                <span>{userId}</span>
                <br />
              </>
            )}
            <span>organisation {org}</span>
          </p>
          <button type="button" onClick={signOut}>
            Sign out
          </button>
          <p>
            <a href="/host">This machine</a> · <a href="/account?from=console">Account</a>
          </p>
        </div>
      </nav>
      <main id="main" tabIndex={-1} ref={main}>
        <Boundary key={path} about="This page">
          <Outlet />
        </Boundary>
      </main>
    </div>
  );
}

const SAYS = {
  idle: ["Not connected", "bad"],
  connecting: ["Connecting", "busy"],
  connected: ["Live", "good"],
  reconnecting: ["Reconnecting", "busy"],
  closed: ["Disconnected", "bad"],
} as const;

function Connection() {
  const { status, error, connect } = useConnection();
  const [words, kind] = SAYS[status];
  return (
    <div className={`status ${kind}`} data-state={status}>
      <span className="dot" aria-hidden="true" />
      <span role="status">
        {words}
        {status === "closed" && error && `: ${error.message}`}
      </span>
      {(status === "closed" || status === "idle") && (
        <button type="button" onClick={connect}>
          Connect
        </button>
      )}
    </div>
  );
}
