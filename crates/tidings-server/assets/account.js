// What links in mails lead to: the secret stands behind #, which no server sees.

const LINKS = {
  verify: { path: "/api/auth/verify", done: "The address is confirmed. You can sign in." },
  reset: { path: "/api/auth/password", field: "newPassword", done: "The password is set. You can sign in." },
  invite: { path: "/api/auth/register", field: "password", done: "The account is yours. You can sign in." },
};

const said = document.getElementById("said");
const form = document.getElementById("form");
const confirm = document.getElementById("confirm");

const [kind, token] = location.hash.slice(1).split("=");
const link = Object.hasOwn(LINKS, kind) && token ? LINKS[kind] : undefined;
// It neither stays in the address bar nor in the history.
history.replaceState(null, "", location.pathname);

async function send(more) {
  said.textContent = "One moment …";
  try {
    const response = await fetch(link.path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, ...more }),
    });
    if (response.ok) {
      said.textContent = link.done;
      form.hidden = confirm.hidden = true;
      return;
    }
    const { error } = await response.json();
    said.textContent = `That did not work: ${error.message}.`;
  } catch {
    said.textContent = "The server does not answer. Try again.";
  }
}

if (!link) {
  said.textContent = "This page is for links from a mail; the link is not complete.";
} else if (link.field) {
  said.textContent = "Choose a password.";
  form.hidden = false;
} else {
  // A button: programs that look at links in mails must not use them up.
  said.textContent = "One click, and the address is confirmed.";
  confirm.hidden = false;
}

confirm.addEventListener("click", () => void send({}));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void send({ [link.field]: document.getElementById("password").value });
});
