//! A client of any door that can be asked one thing after the other, and shows every text it hears.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::{Frame, Wire};
use crate::http::Http;

/// How a client talks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Plain,
    SocketIo,
    Polling,
}

pub(crate) const DOORS: [Door; 3] = [Door::Plain, Door::SocketIo, Door::Polling];

/// What a Socket.IO client needs to take its session up again.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

pub(crate) struct Client {
    door: Door,
    line: Line,
    id: u64,
    /// Every text from the server that nobody has looked at yet.
    pub(crate) heard: Vec<String>,
    pub(crate) ticket: Option<Ticket>,
}

enum Line {
    Socket(Wire),
    Polling { http: Http, target: String },
}

impl Client {
    /// Connects and signs in; without a token as nobody. The refusal if it is not let in.
    pub(crate) fn enter(addr: SocketAddr, door: Door, token: Option<&str>) -> Result<Self, Value> {
        Self::resume(addr, door, token, None)
    }

    /// The same with a session to take up, as a Socket.IO client asks for it.
    pub(crate) fn resume(
        addr: SocketAddr,
        door: Door,
        token: Option<&str>,
        ticket: Option<&Ticket>,
    ) -> Result<Self, Value> {
        let mut client = Self { door, line: line(addr, door), id: 0, heard: Vec::new(), ticket: None };
        let mut auth = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        if let Some(ticket) = ticket {
            auth["pid"] = ticket.pid.clone().into();
            auth["offset"] = ticket.offset.clone().into();
        }
        match door {
            Door::Plain => {
                auth["type"] = "auth".into();
                client.send(&auth.to_string());
            }
            _ => client.send(&format!("40{auth}")),
        }
        let (good, bad) = if door == Door::Plain { ("\"auth:ok\"", "\"ack\"") } else { ("40{", "44{") };
        let text = client.until(|text| text.contains(good) || text.contains(bad));
        if !text.contains(good) {
            return Err(serde_json::from_str(text.trim_start_matches("44")).unwrap());
        }
        if door != Door::Plain {
            let said: Value = serde_json::from_str(&text[2..]).unwrap();
            let pid = said["pid"].as_str().map(str::to_owned);
            client.ticket = pid.map(|pid| Ticket { pid, offset: None });
        }
        Ok(client)
    }

    /// Asks for a command of the engine and waits for its answer.
    pub(crate) fn ask(&mut self, command: &str, body: &Value) -> Value {
        serde_json::from_str(&self.ask_raw(command, body)).unwrap()
    }

    /// The same, byte for byte, without the id.
    pub(crate) fn ask_raw(&mut self, command: &str, body: &Value) -> String {
        self.id += 1;
        let id = self.id;
        if self.door == Door::Plain {
            let mut message = body.clone();
            message["type"] = command.into();
            message["id"] = id.into();
            self.send(&message.to_string());
            let begin = format!("{{\"type\":\"ack\",\"id\":{id},");
            let text = self.until(|text| text.starts_with(&begin));
            return format!("{{{}", &text[begin.len()..]);
        }
        self.send(&format!("42{id}{}", json!([command, body])));
        let begin = format!("43{id}[");
        let text = self.until(|text| text.starts_with(&begin));
        text[begin.len()..text.len() - 1].to_owned()
    }

    /// Hears everything that came before an answer to a ping of its own.
    pub(crate) fn settle(&mut self) {
        self.ask("ping", &json!({}));
    }

    fn send(&mut self, text: &str) {
        match &mut self.line {
            Line::Socket(wire) => wire.say(text),
            Line::Polling { http, target } => {
                let answer = http.ask("POST", target, "", text);
                assert_eq!(answer.body, "ok", "{}", answer.head);
            }
        }
    }

    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let texts = match &mut self.line {
                Line::Socket(wire) => match wire.next() {
                    Frame::Text(text) => vec![text],
                    Frame::Other(_) => Vec::new(),
                    end => panic!("{end:?} while waiting"),
                },
                Line::Polling { http, target } => {
                    let body = http.ask("GET", target, "", "").body;
                    body.split('\u{1e}').map(str::to_owned).collect()
                }
            };
            let found = texts.iter().find(|text| wanted(text)).cloned();
            for text in texts {
                self.hear(text);
            }
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn hear(&mut self, text: String) {
        if self.door != Door::Plain {
            if text == "2" {
                self.send("3");
            }
            if let (Some(args), Some(ticket)) = (text.strip_prefix("42"), &mut self.ticket) {
                let args: Vec<Value> = serde_json::from_str(args).unwrap_or_default();
                let last = args.last().and_then(Value::as_str).filter(|_| args.len() > 2);
                ticket.offset = last.map(str::to_owned).or(ticket.offset.take());
            }
        }
        self.heard.push(text);
    }

    /// Goes: a socket is cut without a word, a polling session would be missed too late.
    pub(crate) fn cut(mut self) {
        if self.door == Door::Polling {
            self.send("1");
        }
    }
}

fn line(addr: SocketAddr, door: Door) -> Line {
    let socket = |path| Wire::open(addr, path);
    match door {
        Door::Plain => Line::Socket(socket("/ws")),
        Door::SocketIo => {
            let mut wire = socket("/socket.io/?EIO=4&transport=websocket");
            wire.hear("0{");
            Line::Socket(wire)
        }
        Door::Polling => {
            let (mut http, target) = (Http::new(addr), "/socket.io/?EIO=4&transport=polling");
            let open = http.ask("GET", target, "", "").body;
            let open: Value = serde_json::from_str(&open[1..]).unwrap();
            Line::Polling { http, target: format!("{target}&sid={}", open["sid"].as_str().unwrap()) }
        }
    }
}
