//! `tidings watch`: rooms in the terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};
use tidings_server::signin::Grant;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::follow::{Follow, Heard, When};
use super::target::{Credential, Target};
use crate::config::{LocateFlags, random_hex};
use crate::output;
use crate::token;

/// How long a token made here is valid; each connection gets a new one.
const TTL: Duration = Duration::from_secs(3_600);
/// Connecting and the upgrade.
const CONNECT: Duration = Duration::from_secs(10);
/// Between our heartbeats, each of which the server answers.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Silence after which the connection counts as dead: two of our heartbeats went unanswered.
const SILENCE: Duration = Duration::from_secs(50);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// The most one message may hold.
const MOST_MESSAGE: usize = 16 << 20;

/// `tidings watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchLine {
    /// The rooms, such as lobby:welcome.
    #[arg(required = true)]
    rooms: Vec<String>,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// A token [env: TIDINGS_TOKEN] [default: made with the local secret, else anonymous].
    #[arg(long)]
    token: Option<String>,
    /// The organisation a token made here speaks for.
    #[arg(long, default_value = "default")]
    org: String,
    /// Shows the last N events of each room first, where they are kept.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rewind: Option<u32>,
    /// Prints one JSON object a line, with `receivedAt`, and with `at` if it was said before.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    locate: LocateFlags,
}

/// Follows the rooms until Ctrl-C.
///
/// # Errors
/// The server does not let us in, or refuses every room.
pub(crate) fn run(line: WatchLine) -> Result<()> {
    let target = Target::parse(&line.url)?;
    let grant = Grant { org: line.org, ..token::service("tidings-watch", TTL) };
    let credential = Credential::find(line.token, line.locate, &target, grant)?;
    if matches!(credential, Credential::Anonymous) {
        output::note("no token given and no local secret found: watching as nobody in particular");
    }
    let screen = Screen { json: line.json, colour: std::io::stdout().is_terminal() };
    let mut watch =
        Watch { target, credential, screen, follow: Follow::new(&line.rooms, line.rewind), wait: FIRST_WAIT };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = watch.follow() => done,
            stop = tokio::signal::ctrl_c() => Ok(stop?),
        }
    })
}

type Socket = WebSocketStream<TcpStream>;

struct Watch {
    target: Target,
    credential: Credential,
    screen: Screen,
    follow: Follow,
    /// The wait before the next try; back to the first once signed in.
    wait: Duration,
}

/// Why a connection ended that can be followed by another.
struct Broken {
    reason: String,
    wait: Option<Duration>,
}

impl Watch {
    async fn follow(&mut self) -> Result<()> {
        loop {
            let Broken { reason, wait } = self.connection().await?;
            let wait = wait.map_or_else(|| self.next_wait(), Ok)?;
            output::note(&format!("{reason}; coming back in {:.1} s", wait.as_secs_f32()));
            sleep(wait).await;
        }
    }

    /// Doubles the wait and takes a random part of it, so that a crowd does not come back at once.
    fn next_wait(&mut self) -> Result<Duration> {
        let share = u32::from_str_radix(&random_hex::<2>()?, 16)?;
        let wait = self.wait.mul_f64(0.5 + f64::from(share) / 131_072.0);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(wait)
    }

    /// One connection from start to end; an error is an end for good.
    async fn connection(&mut self) -> Result<Broken> {
        let mut socket = match timeout(CONNECT, connect(&self.target)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Ok(broken(format!("{error:#}"))),
            Err(_) => return Ok(broken(format!("{} does not answer", self.target.authority()))),
        };
        let auth = match self.credential.token()? {
            Some(token) => json!({ "type": "auth", "token": token }),
            None => json!({ "type": "auth" }),
        };
        if let Err(error) = socket.send(Message::text(auth.to_string())).await {
            return Ok(broken(error.to_string()));
        }
        self.read(&mut socket).await
    }

    async fn read(&mut self, socket: &mut Socket) -> Result<Broken> {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = Instant::now() + SILENCE;
        let mut signed_in = false;
        loop {
            let read = tokio::select! {
                read = tokio::time::timeout_at(deadline, socket.next()) => read,
                _ = heartbeat.tick() => {
                    match socket.send(Message::text(r#"{"type":"heartbeat"}"#)).await {
                        Ok(()) => continue,
                        Err(error) => return Ok(broken(error.to_string())),
                    }
                }
            };
            deadline = Instant::now() + SILENCE;
            let text = match read {
                Err(_) => return Ok(broken("the server fell silent".into())),
                Ok(None) => return Ok(broken("the connection ended".into())),
                Ok(Some(Err(error))) => return Ok(broken(error.to_string())),
                Ok(Some(Ok(Message::Close(frame)))) => return self.closed(frame, signed_in),
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(_))) => continue,
            };
            match self.follow.hear(&text) {
                Heard::SignedIn => {
                    signed_in = true;
                    self.wait = FIRST_WAIT;
                    if let Err(error) = say(socket, self.follow.greetings()).await {
                        return Ok(broken(error.to_string()));
                    }
                }
                Heard::Say(message) => {
                    if let Err(error) = say(socket, vec![message]).await {
                        return Ok(broken(error.to_string()));
                    }
                }
                Heard::Event(event, when) => self.screen.show(&event, &when)?,
                Heard::Note(note) => output::note(&printable(&note)),
                Heard::ComeBack(wait, reason) => {
                    return Ok(Broken { reason: printable(&reason), wait: Some(wait) });
                }
                Heard::Over(reason) => bail!("{}", printable(&reason)),
                Heard::Nothing => {}
            }
        }
    }

    /// Whether a close is for good: the table of closes in the wire contract.
    fn closed(&self, frame: Option<CloseFrame>, signed_in: bool) -> Result<Broken> {
        let Some(frame) = frame else { return Ok(broken("the server closed the connection".into())) };
        let code = u16::from(frame.code);
        let reason = format!("closed by the server ({code} {})", printable(&frame.reason));
        let fresh_token_helps = signed_in && matches!(self.credential, Credential::Minted { .. });
        match code {
            4401 if !fresh_token_helps => bail!("{reason}; give a valid --token"),
            1002 | 1007..=1009 | 4403 | 4409 => bail!("{reason}"),
            _ => Ok(broken(reason)),
        }
    }
}

fn broken(reason: String) -> Broken {
    Broken { reason, wait: None }
}

async fn connect(target: &Target) -> Result<Socket> {
    let authority = target.authority();
    let stream = TcpStream::connect(&authority).await.with_context(|| format!("cannot reach {authority}"))?;
    let limits =
        WebSocketConfig::default().max_message_size(Some(MOST_MESSAGE)).max_frame_size(Some(MOST_MESSAGE));
    let url = format!("ws://{authority}{}/ws", target.prefix);
    let upgraded = tokio_tungstenite::client_async_with_config(url, stream, Some(limits)).await;
    let (socket, _) = upgraded.with_context(|| format!("{authority} takes no WebSocket"))?;
    Ok(socket)
}

async fn say(socket: &mut Socket, messages: Vec<String>) -> Result<(), Error> {
    for message in messages {
        socket.feed(Message::text(message)).await?;
    }
    socket.flush().await
}

/// How events are shown.
struct Screen {
    json: bool,
    colour: bool,
}

impl Screen {
    fn show(&self, event: &Map<String, Value>, when: &When) -> Result<()> {
        match self.json {
            true => output::line(&json_line(event, when)),
            false => output::painted(&self.text_line(event, when)),
        }
    }

    fn text_line(&self, event: &Map<String, Value>, when: &When) -> String {
        let text = |name: &str| printable(event.get(name).and_then(Value::as_str).unwrap_or("?"));
        let offset = event.get("offset").map(|offset| format!("#{offset} ")).unwrap_or_default();
        let data = printable(&event.get("data").unwrap_or(&Value::Null).to_string());
        let parts = [
            (Style::new().dimmed(), format!("{} ", clock(when, &Zoned::now()))),
            (AnsiColor::Cyan.on_default(), format!("{} ", text("room"))),
            (Style::new().dimmed(), offset),
            (AnsiColor::Green.on_default().bold(), format!("{} ", text("event"))),
        ];
        let head: String = parts.iter().map(|(style, part)| self.painted(*style, part)).collect();
        head + &data
    }

    fn painted(&self, style: Style, part: &str) -> String {
        if self.colour && !part.is_empty() { format!("{style}{part}{style:#}") } else { part.into() }
    }
}

/// The time of day, with the day in front if it is not today.
fn clock(when: &When, now: &Zoned) -> String {
    let said = match when {
        When::Now => Some(now.clone()),
        When::At(text) => text.parse().ok().map(|at: Timestamp| at.to_zoned(now.time_zone().clone())),
        When::Before => None,
    };
    match said {
        Some(said) if said.date() == now.date() => said.strftime("%H:%M:%S%.3f").to_string(),
        Some(said) => said.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        None => "--:--:--.---".to_owned(),
    }
}

/// The event as it came, with when it was said, if the server told, and when we received it.
fn json_line(event: &Map<String, Value>, when: &When) -> String {
    let mut line = event.clone();
    line.remove("type");
    if let When::At(at) = when {
        line.insert("at".into(), at.as_str().into());
    }
    line.insert("receivedAt".into(), Timestamp::now().to_string().into());
    Value::Object(line).to_string()
}

/// What others wrote must not steer the terminal.
fn printable(text: &str) -> String {
    output::harmless(text, &[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(event: &str) -> Map<String, Value> {
        let value =
            json!({"type":"event","room":"chat:1","event":event,"data":{"a":1},"offset":7,"epoch":"e"});
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_line_has_time_room_offset_event_and_data() {
        let line = Screen { json: false, colour: false }.text_line(&event("said"), &When::Now);
        assert!(line.ends_with(r#" chat:1 #7 said {"a":1}"#), "{line}");
        let painted = Screen { json: false, colour: true }.text_line(&event("said"), &When::Now);
        assert!(painted.contains("\u{1b}["), "{painted}");
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let line = Screen { json: false, colour: false }.text_line(&event("\u{1b}[2J\u{9b}x"), &When::Now);
        assert!(!line.chars().any(char::is_control), "{line}");
    }

    #[test]
    fn a_json_line_is_one_object_without_the_message_type() {
        let line: Value = serde_json::from_str(&json_line(&event("said"), &When::Now)).unwrap();
        assert_eq!((&line["offset"], &line["type"]), (&7.into(), &Value::Null));
        assert!(line["receivedAt"].is_string() && line.get("at").is_none());
        let said = "2026-01-01T08:09:10.011Z";
        let line: Value = serde_json::from_str(&json_line(&event("said"), &When::At(said.into()))).unwrap();
        assert_eq!(line["at"], said);
    }

    #[test]
    fn what_was_said_before_is_shown_with_its_own_time_and_day() {
        let now: Zoned = "2026-01-02T10:00:00+01:00[+01:00]".parse().unwrap();
        let at = |text: &str| clock(&When::At(text.into()), &now);
        assert_eq!(clock(&When::Now, &now), "10:00:00.000");
        assert_eq!(at("2026-01-02T08:09:10.011Z"), "09:09:10.011");
        assert_eq!(at("2025-12-31T08:09:10.011Z"), "2025-12-31 09:09:10.011");
        for unknown in [clock(&When::Before, &now), at("yesterday")] {
            assert_eq!(unknown, "--:--:--.---", "nothing is made up");
        }
    }
}
