// The page of one's account: what links in mails lead to, signing in and out, making an account, passwords.

import { post, providers, Refusal, sentBack, Session } from "./session.js";

const byId = (id) => document.getElementById(id);
const VIEWS = [
  "sign-in",
  "second",
  "register",
  "set-up",
  "set-up-done",
  "forgot",
  "confirm",
  "choose",
  "signed-in",
].map(byId);
const session = new Session();

// What a link in a mail is for: its secret stands behind #, which no server sees.
const LINKS = {
  verify: {
    view: "confirm",
    says: "One click, and the address is confirmed.",
    send: (token) => post("/api/auth/verify", { token }),
    done: "The address is confirmed. You can sign in.",
  },
  reset: {
    view: "choose",
    says: "Choose a password.",
    send: (token, { password }) => post("/api/auth/password", { token, newPassword: password }),
    done: "The password is set. You can sign in.",
  },
  invite: {
    view: "choose",
    says: "Choose a password.",
    send: (token, { password }) => post("/api/auth/register", { token, password }),
    done: "The account is yours. You can sign in.",
  },
  // Not in a mail: the server prints it at its first start.
  setup: {
    view: "set-up",
    says: "You will be the administrator of this server.",
    send: (token, fields) => post("/api/auth/setup", { token, ...fields }),
    done: "You are the administrator of this server.",
    then: "set-up-done",
  },
};
let link = null;
// With what a provider has sent somebody here whose second factor is asked for.
let elsewhere = null;

// Views.

// What is said of mails; without anybody who sends them the server writes them to its log, and says so in the page.
const MAILS = {
  sent: {
    register: "A mail will ask you to confirm the address.",
    registered: "A mail is on its way. Its link confirms the address; then you can sign in.",
    forgot: "A link to choose a new password comes by mail.",
    asked: "If there is such an account, a mail with a link is on its way.",
  },
  logged: {
    register: "This server sends no mail: a link in its log will confirm the address.",
    registered: "This server sends no mail. The link that confirms the address is in its log; then you can sign in.",
    forgot: "This server sends no mail: a link to choose a new password will be in its log.",
    asked: "This server sends no mail. If there is such an account, a link is in its log.",
  },
}[document.querySelector("main").dataset.mails];

const INVITES = {
  "sign-in": "Sign in, or make an account.",
  register: MAILS.register,
  forgot: MAILS.forgot,
};

// Shared, the console's sign-in would end with this page, and a token that is renewed here would be good there no more.
const FROM_CONSOLE =
  "Sign in once more: this page forgets you when you leave it, so it takes nothing over from the console. You stay signed in there.";

const CODE = "Now the code of your second factor: six digits of your app, or a recovery code.";
const asksCode = (error) => error instanceof Refusal && error.code === "second_factor";

// Only whoever has one sees its field.
function askCode(asks) {
  byId("code").hidden = !asks;
  const field = byId("code").querySelector("input");
  field.required = asks;
  if (asks) field.focus();
}

function say(says, isRefusal = false) {
  byId("said").textContent = says;
  byId("said").toggleAttribute("data-refused", isRefusal);
}

function show(view, says, isRefusal) {
  for (const each of VIEWS) {
    each.hidden = each.id !== view;
    each.reset();
  }
  askCode(false);
  say(says, isRefusal);
}

function showUser(says) {
  const { name, email, org, roles } = session.user;
  byId("user-name").textContent = name;
  byId("user-email").textContent = email;
  byId("user-org").textContent = org;
  byId("user-roles").textContent = roles.join(", ") || "none";
  show("signed-in", says);
}

function start() {
  const [kind, token] = location.hash.slice(1).split("=");
  const back = new URLSearchParams(location.search);
  // It neither stays in the address bar nor in the history.
  history.replaceState(null, "", location.pathname);
  link = Object.hasOwn(LINKS, kind) && token ? { ...LINKS[kind], token } : null;
  if (link) show(link.view, link.says);
  else if (kind) show("sign-in", "The link is not complete. Take all of it.", true);
  else if (session.user) showUser("You are signed in.");
  else if (back.has("code")) {
    show("sign-in");
    void attempt(async () => {
      await exchange(back.get("code"));
    });
  } else if (back.has("error")) show("sign-in", sentBack(back.get("error")), true);
  else show("sign-in", back.get("from") === "console" ? FROM_CONSOLE : INVITES["sign-in"]);
}

async function exchange(code) {
  try {
    await session.exchange(code);
  } catch (error) {
    if (!asksCode(error)) throw error;
    elsewhere = code;
    return show("second", CODE);
  }
  showUser("You are signed in.");
}

// What is done with each form, and what is shown then.

async function follow(fields) {
  await link.send(link.token, fields);
  const { done, then = "sign-in" } = link;
  link = null;
  show(then, done);
}

const DEEDS = {
  async "sign-in"(fields) {
    try {
      await session.signIn(fields);
    } catch (error) {
      if (!asksCode(error) || !byId("code").hidden) throw error;
      askCode(true);
      return say(CODE);
    }
    showUser("You are signed in.");
  },
  async second({ code }) {
    await session.exchange(elsewhere, code);
    elsewhere = null;
    showUser("You are signed in.");
  },
  async register(fields) {
    await post("/api/auth/register", fields);
    show("sign-in", MAILS.registered);
  },
  async forgot(fields) {
    await post("/api/auth/password", fields);
    show("sign-in", MAILS.asked);
  },
  "set-up": follow,
  confirm: follow,
  choose: follow,
  async "signed-in"({ oldPassword, newPassword }) {
    await session.changePassword(oldPassword, newPassword);
    showUser("The password is changed. Everywhere else you are signed out.");
  },
};

async function offerProviders() {
  const here = encodeURIComponent(location.pathname);
  const buttons = (await providers()).map(({ name, label }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Sign in with ${label}`;
    button.addEventListener("click", () =>
      location.assign(`/api/auth/oidc/${encodeURIComponent(name)}/start?returnTo=${here}`),
    );
    return button;
  });
  byId("providers").replaceChildren(...buttons);
  byId("providers").hidden = buttons.length === 0;
}

// What was written into a form; what was left empty is not said.
function fieldsOf(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
}

// Does one thing at a time, and says what came of it.
async function attempt(deed) {
  const buttons = document.querySelectorAll("main button");
  for (const button of buttons) button.disabled = true;
  say("One moment …");
  try {
    await deed();
  } catch (error) {
    const refused = error instanceof Refusal;
    const says = refused ? `That did not work: ${error.message}.` : "The server does not answer. Try again.";
    // A sign-in that was ended elsewhere has nothing to show any more.
    if (!byId("signed-in").hidden && !session.user) show("sign-in", says, true);
    else say(says, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

for (const form of VIEWS) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(() => DEEDS[form.id](fieldsOf(form)));
  });
}
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => show(button.dataset.view, INVITES[button.dataset.view]));
}
byId("sign-out").addEventListener("click", () => {
  void attempt(async () => {
    await session.signOut();
    show("sign-in", "You are signed out.");
  });
});
// A link that is opened where this page is open already.
addEventListener("hashchange", start);
addEventListener("pagehide", () => {
  // Nobody is there any more to be told of a failure.
  session.signOut({ keepalive: true }).catch(() => {});
  show("sign-in", "You are signed out.");
});
start();
void offerProviders();
