//! Every setting: its key, what may be written there, and what it costs to change it.

use super::{ANY, HOUR_MS, Kind, RATE, Setting, row, secret};

/// The settings but those of room kinds, presence and recorder, in the order in which they are printed: the top level
/// first, then table by table.
pub(super) static SETTINGS: &[Setting] = &[
    row(
        "listen",
        Kind::Text,
        "Address and port of the main listener: REST, Socket.IO, plain WebSocket, console, health. An address \
         that is not loopback needs behind_proxy. An address without a port takes the port from PORT, else 3000.",
    ),
    row(
        "ws_listen",
        Kind::Text,
        "Address and port of a second listener that serves the plain protocol at / as well; empty: none. Each \
         listener is one more door to guard.",
    ),
    row(
        "admin_listen",
        Kind::Text,
        "Address and port of a listener of its own for administrators: the page, the audit log, revocations, users, \
         keys and /metrics are there, with everything else, and the main listener answers 404. Empty: they are on \
         the main listener. On loopback /metrics needs no token there.",
    ),
    row(
        "data_dir",
        Kind::Text,
        "Directory in which the signing key and data are kept; created for its owner alone if it is missing.",
    ),
    row(
        "allow_origin",
        Kind::List,
        "Browser origins besides the server's own that may connect, such as https://app.example; * allows every \
         web page a visitor has open to connect.",
    ),
    row(
        "behind_proxy",
        Kind::Switch,
        "Says that a proxy terminates TLS, which allows listeners that are not on loopback. Without such a proxy \
         tokens cross the network in the clear.",
    ),
    row(
        "trusted_proxies",
        Kind::List,
        "Addresses and ranges of proxies, such as 10.0.0.0/8, whose word about a client's address is taken. An \
         address in the list that is no proxy of yours can pretend to be anybody. What is for this machine alone \
         is off as with behind_proxy.",
    ),
    row(
        "proxy_header",
        Kind::Choice(&["x-forwarded-for", "forwarded"]),
        "The header in which the trusted proxies name the client; the other one is not looked at. Naming one that \
         your proxy does not write lets clients choose their address.",
    ),
    row(
        "demo",
        Kind::Switch,
        "Fills the server with lifelike traffic and demo users. Costs some CPU; not for a server with real users.",
    ),
    row(
        "no_limits",
        Kind::Switch,
        "Lifts rates, counts and admission caps for measuring, never sizes or structure; only while every listener \
         is on loopback. One client can then use up the machine.",
    ),
    row(
        "shards",
        Kind::Count(0, 1024),
        "Threads that own connections; 0: one per core. More than cores only adds switches between them.",
    ),
    row(
        "front_threads",
        Kind::Count(0, 1024),
        "Threads for accepting, HTTP, sign-in and handlers; 0: one per core. More takes CPU time from the shards.",
    ),
    row(
        "heartbeat.interval_ms",
        Kind::Count(1_000, HOUR_MS),
        "Milliseconds between pings. Longer is cheaper, but dead clients are found later, and proxies may cut \
         connections that are silent for a minute.",
    ),
    row(
        "heartbeat.timeout_ms",
        Kind::Count(1_000, HOUR_MS),
        "Milliseconds a client may take to answer a ping. Longer forgives bad networks, but dead clients count as \
         present for longer.",
    ),
    row(
        "limits.message_bytes",
        Kind::Count(128, 1 << 30),
        "Bytes of one message. Higher lets one client make the server hold more memory.",
    ),
    row(
        "limits.fragments",
        Kind::Count(1, 1 << 20),
        "Fragments of one WebSocket message. Higher lets a client spend more of our CPU on one message.",
    ),
    row(
        "limits.attachments",
        Kind::Count(0, 1_000),
        "Binary attachments of one Socket.IO packet. Higher lets one packet wait longer for its parts.",
    ),
    row(
        "limits.json_depth",
        Kind::Count(2, 128),
        "Levels of nesting of JSON and msgpack. Higher takes more stack and CPU per message.",
    ),
    row(
        "limits.namespaces",
        Kind::Count(1, 10_000),
        "Namespaces of one connection. Higher takes more memory per connection.",
    ),
    row(
        "limits.rooms",
        Kind::Count(1, 1_000_000),
        "Rooms of one connection. Higher takes more memory and makes leaving slower.",
    ),
    row(
        "limits.outstanding_acks",
        Kind::Count(1, 1_000_000),
        "Acknowledgements one connection may leave open. Higher takes more memory per connection.",
    ),
    row(
        "limits.queue_bytes",
        Kind::Count(1_024, 1 << 32),
        "Bytes that may wait for one connection before it is closed as too slow. Higher lets slow clients hold more \
         memory.",
    ),
    row(
        "limits.queue_messages",
        Kind::Count(1, 1 << 24),
        "Messages that may wait for one connection before it is closed as too slow. Higher lets slow clients hold \
         more memory.",
    ),
    row(
        "limits.room_bytes",
        Kind::Count(1_024, 1 << 40),
        "Bytes of the events one `recent` room keeps. Higher lets publishers make the server hold more memory.",
    ),
    row(
        "limits.lag_ms",
        Kind::Count(100, HOUR_MS),
        "Milliseconds a connection may lag behind before it is closed as too slow. Higher delivers stale events.",
    ),
    row(
        "limits.plain_auth_ms",
        Kind::Count(100, HOUR_MS),
        "Milliseconds a client of the plain protocol may take to sign in. Higher lets strangers hold connections.",
    ),
    row(
        "limits.connect_ms",
        Kind::Count(100, HOUR_MS),
        "Milliseconds a Socket.IO client may take to join a namespace. Higher lets strangers hold connections.",
    ),
    row(
        "limits.connections",
        Kind::Count(0, 1 << 32),
        "Connections of the server; 0: 80 % of the descriptors the process may have. Higher leaves none for files and \
         requests.",
    ),
    row(
        "limits.connections_per_address",
        Kind::Count(1, 1 << 32),
        "Connections from one address, WebSockets and polling sessions. Higher lets one machine take more of the \
         server; many people may share an address.",
    ),
    row(
        "limits.connections_per_network",
        Kind::Count(1, 1 << 32),
        "Connections from one IPv6 network of 64 bits. Higher lets one machine take more of the server.",
    ),
    row(
        "limits.connections_per_user",
        Kind::Count(1, 1 << 32),
        "Connections of one user. Higher lets one account take more of the server.",
    ),
    row(
        "limits.connections_per_org",
        Kind::Count(1, 1 << 32),
        "Connections of one organisation. Higher lets one organisation crowd others out.",
    ),
    row(
        "limits.accepts_per_second",
        Kind::Count(1, RATE),
        "Sockets accepted in a second; those who come faster wait. Higher takes CPU from those who are in.",
    ),
    row(
        "limits.unauthenticated",
        Kind::Count(1, 1 << 32),
        "Connections that have not signed in, at once. Higher lets strangers take more of the server; lower refuses \
         some when all come back.",
    ),
    row(
        "limits.messages_per_second",
        Kind::Count(1, RATE),
        "Messages of one connection in a second, pings and the like included. Higher lets one client take more CPU.",
    ),
    row("limits.messages_burst", Kind::Count(1, RATE), "Messages of one connection at once."),
    row(
        "limits.user_messages_per_second",
        Kind::Count(1, RATE),
        "Messages of one user in a second, over all connections. Higher lets one account take more CPU.",
    ),
    row("limits.user_messages_burst", Kind::Count(1, RATE), "Messages of one user at once."),
    row(
        "limits.org_messages_per_second",
        Kind::Count(1, RATE),
        "Messages of one organisation in a second. Higher lets one organisation crowd others out.",
    ),
    row("limits.org_messages_burst", Kind::Count(1, RATE), "Messages of one organisation at once."),
    row(
        "limits.address_messages_per_second",
        Kind::Count(1, RATE),
        "Messages from one address, or one IPv6 network of 64 bits, in a second. Higher lets one machine take more \
         CPU; many people may share an address.",
    ),
    row("limits.address_messages_burst", Kind::Count(1, RATE), "Messages from one address at once."),
    row(
        "limits.offences",
        Kind::Count(1, 1_000_000),
        "Messages over a limit, with no rest between them, after which a connection is closed with 4429. Higher \
         answers floods for longer.",
    ),
    row(
        "limits.joins_per_second",
        Kind::Count(1, RATE),
        "Subscriptions of one connection in a second. Higher lets one client take more CPU.",
    ),
    row("limits.joins_burst", Kind::Count(1, RATE), "Subscriptions of one connection at once."),
    row("limits.new_rooms_per_minute", Kind::Count(1, RATE), "Rooms that one user makes in a minute."),
    row("limits.new_rooms_burst", Kind::Count(1, RATE), "Rooms that one user makes at once."),
    row(
        "limits.rooms_per_org",
        Kind::Count(1, 1 << 32),
        "Rooms of one organisation with members or history. Higher lets one organisation take more memory.",
    ),
    row(
        "limits.log_bytes_per_org",
        Kind::Count(1 << 20, 1 << 50),
        "Bytes that the events of one organisation may take in the log. Beyond that the oldest events of its largest \
         room are deleted, and whoever missed them is told of a gap.",
    ),
    row(
        "limits.publish_per_minute",
        Kind::Count(1, RATE),
        "Publishes and commands of apps of one user in a minute, on sockets and by HTTP together. Higher multiplies \
         by the members of rooms.",
    ),
    row(
        "limits.server_per_minute",
        Kind::Count(1, RATE),
        "The same for a token of a server (scope publish or admin).",
    ),
    row(
        "limits.requests_per_minute",
        Kind::Count(1, RATE),
        "HTTP requests from one address, or one IPv6 network, in a minute; demo doubles it. Higher lets one machine \
         take more CPU.",
    ),
    row(
        "limits.sign_in_failures_per_minute",
        Kind::Count(1, RATE),
        "Wrong tokens and passwords from one address in a minute. Higher lets more be guessed.",
    ),
    row(
        "limits.sign_in_refusal_seconds",
        Kind::Count(1, 86_400),
        "Seconds in which nobody at that address signs in afterwards, other users there included.",
    ),
    row(
        "limits.memory_bytes",
        Kind::Count(0, ANY),
        "Bytes of the process's resident memory from which on connections are refused, and a tenth later publishes; \
         0: 80 % of what the control group or the machine has. Higher risks that the kernel kills the process.",
    ),
    secret(
        "auth.jwt_secret",
        "The raw bytes that sign and verify tokens (HS256), at least 32; from file or environment only (also \
         JWT_SECRET). Not set: a random one is kept in secrets.toml in the data directory.",
    ),
    row(
        "auth.jwt_secret_file",
        Kind::Text,
        "A file that holds the signing secret instead; one line break at its end is not part of it. Also read from \
         JWT_SECRET_FILE.",
    ),
    secret(
        "auth.jwt_secret_previous",
        "The secret before this one: while it is set, tokens signed with either are taken. From file or \
         environment only.",
    ),
    row(
        "auth.jwt_secret_previous_file",
        Kind::Text,
        "A file that holds the previous secret instead. Remove it when the last of its tokens has ended.",
    ),
    row(
        "auth.issuer",
        Kind::Text,
        "The `iss` that tokens signed with the shared secret must have; empty: it is not looked at. Tokens that \
         this server issues have their own.",
    ),
    row(
        "auth.audience",
        Kind::List,
        "The audiences of which a token signed with the shared secret must name one (`aud`); empty: it is not \
         looked at, and tokens made for other services are taken too.",
    ),
    row(
        "auth.own_issuer",
        Kind::Text,
        "The `iss` and `aud` of the tokens this server issues; a new name ends those under the old one.",
    ),
    row(
        "auth.issuers",
        Kind::Tables,
        "Others whose tokens are taken: issuer, audience, org, one of secret_file (with algorithm), \
         public_key_file, jwks_file or jwks_url, and the claims user_claim, name_claim, roles_claim, \
         email_verified_claim, org_claim, scope_claim. Each can name every user of its organisation, and, without \
         org, of all.",
    ),
    row(
        "auth.anonymous",
        Kind::Choice(&["loopback", "never", "always"]),
        "Where clients without a token are taken on the plain protocol: loopback (while the listener is on \
         loopback), never, always. They may do only what `anyone` may; always lets strangers hold connections.",
    ),
    row(
        "auth.query_token",
        Kind::Switch,
        "Whether a token in the query string is read, as existing clients need. Proxies may write it to their logs.",
    ),
    row(
        "auth.expiry_grace_seconds",
        Kind::Count(0, 30),
        "Seconds a connection outlives its token, for clocks that differ and clients that renew late.",
    ),
    row(
        "auth.revocation_days",
        Kind::Count(1, 3_650),
        "Days a revocation holds. Longer than any token lives: a token that outlives its revocation is good again.",
    ),
    row(
        "auth.providers",
        Kind::Tables,
        "OpenID Connect providers at which people sign in: name, label, issuer, client_id, client_secret_file, scopes, \
         org, create, domains. Whoever has an account there gets one here, unless create or domains say otherwise.",
    ),
    row(
        "accounts.enabled",
        Kind::Switch,
        "Whether people sign in here with a password or by a provider. API keys and tokens of others work either way.",
    ),
    row(
        "accounts.register",
        Kind::Choice(&["loopback", "open", "invited", "closed"]),
        "Who may make an account: everybody while every listener is on loopback without a proxy (else invited), \
         everybody, whom an administrator invited, or nobody. Open lets strangers in as far as `signed-in` lets them.",
    ),
    row(
        "accounts.verified_only",
        Kind::Switch,
        "Whether signing in with a password needs a verified e-mail address. Without it anybody can claim any address.",
    ),
    row(
        "accounts.password_least",
        Kind::Count(8, 128),
        "Characters of a new password at least; fewer than 12 are taken with demo alone. Fewer are guessed sooner.",
    ),
    row(
        "accounts.access_seconds",
        Kind::Count(60, 3_600),
        "Seconds an access token is good. Longer lets a stolen one work longer where it is not called back.",
    ),
    row(
        "accounts.refresh_seconds",
        Kind::Count(3_600, 31_536_000),
        "Seconds a sign-in lasts, however often it is refreshed. Longer lets a stolen device stay signed in longer.",
    ),
    row(
        "accounts.refresh_grace_seconds",
        Kind::Count(0, 60),
        "Seconds two windows may race with one refresh token. Longer finds a copied one later; 0: never.",
    ),
    row("accounts.confirm_seconds", Kind::Count(1, 3_600), "Seconds in which exports ask for nothing again."),
    row(
        "accounts.public_url",
        Kind::Text,
        "The address under which browsers reach this server, such as https://chat.example: pages from there are its \
         own, and providers send people back there. Empty: the address it listens on.",
    ),
    row(
        "accounts.link_url",
        Kind::Text,
        "The page that links in mails lead to; the link's secret stands behind #. Empty: /account of this server.",
    ),
    secret(
        "database.url",
        "Where accounts, keys, revocations, sessions and the audit log are kept: sqlite:PATH or \
         postgres://USER:PASSWORD@HOST:PORT/NAME; from file or environment only (also DATABASE_URL). Not set: \
         tidings.db in the data directory.",
    ),
    row(
        "database.url_file",
        Kind::Text,
        "A file that holds the URL of the database instead; one line break at its end is not part of it. Also read \
         from DATABASE_URL_FILE.",
    ),
    row(
        "database.session_days",
        Kind::Count(0, 3_650),
        "Days that it is kept who was connected, from which address and until when; 0: that is not written down.",
    ),
    row(
        "hooks.connect",
        Kind::Text,
        "URL of the team's own backend that is asked whether a client may come in, once its token was verified; \
         empty: nobody is asked. Each connect then costs a request.",
    ),
    row(
        "hooks.subscribe",
        Kind::Text,
        "URL that is asked about subscribing, history and presence in rooms whose rule is ask.",
    ),
    row("hooks.publish", Kind::Text, "URL that is asked about publishing in rooms whose rule is ask."),
    secret(
        "hooks.secret",
        "Signs the questions (HMAC-SHA-256): at least 32 bytes, raw or as whsec_ and base64; from file or \
         environment only, and not the signing secret of tokens.",
    ),
    row("hooks.secret_file", Kind::Text, "A file that holds the secret of the hooks instead."),
    row(
        "hooks.timeout_ms",
        Kind::Count(100, 5_000),
        "Milliseconds a question may take, its wait for a turn included. Longer keeps clients waiting longer for a \
         backend that hangs.",
    ),
    row(
        "hooks.allow_hosts",
        Kind::List,
        "Hosts, each as host:port, that may be private addresses and may be asked without TLS. Whoever controls \
         their names can make the server ask there.",
    ),
    row(
        "hooks.allow_private",
        Kind::Switch,
        "Whether private addresses, loopback included, may be asked, without TLS too; for development.",
    ),
    row(
        "hooks.send_data",
        Kind::Switch,
        "Whether questions about publishing carry the event's data. Answers to them are then never kept.",
    ),
    row(
        "hooks.max_cache_seconds",
        Kind::Count(0, 86_400),
        "Seconds an answer is kept at most, whatever it says. Longer means that a change of rights shows later.",
    ),
    row("hooks.ca_file", Kind::Text, "A PEM file with certificate authorities, besides the system's."),
    row(
        "audit.retention_days",
        Kind::Count(0, 36_500),
        "Days an entry of the audit log is kept; 0: for ever. Longer takes more disk.",
    ),
    row(
        "audit.sample_every",
        Kind::Count(1, 1_000_000),
        "Of refusals that come in floods (tokens, origins, limits), the first and then every so-many-th is written, \
         with the number since. Lower lets whoever floods fill the log.",
    ),
    row(
        "threats.detect",
        Kind::Switch,
        "Whether threats are looked for in what is refused, counted, and told to administrators and operators.",
    ),
    row(
        "threats.window_seconds",
        Kind::Count(8, 86_400),
        "Seconds within which hits of one source are added up. Longer finds slower attacks, and more mistakes.",
    ),
    row(
        "threats.login_storm",
        Kind::Count(0, 1_000_000),
        "Wrong passwords of one address, or for one account from several, that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "threats.token_reuse",
        Kind::Count(0, 1_000_000),
        "Refresh tokens used a second time, of one account, that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "threats.origin_refused",
        Kind::Count(0, 1_000_000),
        "Requests of foreign pages from one address that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "threats.flood",
        Kind::Count(0, 1_000_000),
        "Connections of one user or address closed for flooding that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "threats.token_probing",
        Kind::Count(0, 1_000_000),
        "Forged, foreign or damaged tokens and keys of one address that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "threats.session_guessing",
        Kind::Count(0, 1_000_000),
        "Session ids of one address that do not exist that are an alert; a fifth is a notice, two fifths a warning; 0: never.",
    ),
    row(
        "recovery.mode",
        Kind::Choice(&["auto", "always", "never"]),
        "Which Socket.IO clients get the trailing offset argument of recovery: auto (all but those that cannot take \
         it), always (breaks handlers with a fixed number of arguments), never.",
    ),
    row(
        "recovery.window_seconds",
        Kind::Count(0, 86_400),
        "Seconds a session is kept after its connection broke. Longer takes more memory after a wave of disconnects.",
    ),
    row(
        "recovery.sessions",
        Kind::Count(0, 100_000_000),
        "Sessions kept for recovery at most; the oldest go first. Higher takes more memory.",
    ),
    row(
        "recovery.stored",
        Kind::Switch,
        "Keeps sessions that are in durable rooms in the database too, so that clients go on where they were after a \
         crash or restart of the server. Off saves a write for each subscription to a durable room.",
    ),
    row(
        "receipts.tracked_per_org",
        Kind::Count(1, 1_000_000),
        "Messages of one organisation whose acknowledgements are waited for at once; more publishes with a receipt \
         are refused. Each takes memory for every recipient.",
    ),
    row(
        "receipts.recipients",
        Kind::Count(1, 100_000),
        "Members a room may have for a message in it to be tracked; a publish with a receipt to a bigger one is \
         refused. Each recipient costs memory and an acknowledgement.",
    ),
    row(
        "receipts.dead_letters_per_org",
        Kind::Count(1, 10_000_000),
        "Dead letters of one organisation; beyond that the oldest are thrown away, which is counted and audited. \
         More take disk.",
    ),
    row(
        "receipts.subscriptions_per_user",
        Kind::Count(1, 1_000),
        "Persistent subscriptions of one user. More make each of its connections join more rooms.",
    ),
    row(
        "websocket.compression",
        Kind::Switch,
        "Offers permessage-deflate. Saves bandwidth, costs CPU per event and memory while inflating.",
    ),
    row(
        "drain.seconds",
        Kind::Count(0, 3_600),
        "Seconds over which connections are closed on SIGTERM; keep it shorter than the supervisor's grace. Longer \
         spreads the reconnects and makes a restart slower.",
    ),
    row(
        "host.publish",
        Kind::Switch,
        "Whether the host's own figures (CPU, memory, network) are published to the room metrics:host.",
    ),
    row(
        "host.interval_ms",
        Kind::Count(100, HOUR_MS),
        "Milliseconds between two readings of the host's figures. Longer shows less, shorter costs more CPU.",
    ),
    row(
        "log.filter",
        Kind::Text,
        "What is logged: error, warn, info, debug or trace, or by module such as info,tidings_server=debug. More \
         costs CPU and disk.",
    ),
    row(
        "log.format",
        Kind::Choice(&["text", "json"]),
        "How log lines look: text for people, json for one object a line.",
    ),
    row(
        "namespaces.NAME.auth",
        Kind::Choice(&["required", "optional"]),
        "Whether this Socket.IO namespace needs a token; optional lets strangers hold connections.",
    ),
    row(
        "apps.NAME.enabled",
        Kind::Switch,
        "Whether an app of this server is there; off, its commands, rooms and paths do not exist and its tables stay as they are.",
    ),
];
