//! Organisations in which everything has the same name, and one step of a walk through all doors.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use crate::bed::{Dice, token};
use crate::canary::Canaries;
use crate::client::{Client, DOORS, Door};
use crate::common::DEADLINE;
use crate::http::{Answer, Http, segment};
use crate::logs;
use crate::model::Rooms;
use crate::odd_names::{NAMES, TARGETS};

pub(crate) const ORGS: usize = 5;
const USERS: [&str; 2] = ["alice", "__proto__"];
const EVENTS: [&str; 4] = ["said", "__proto__", "constructor", "günstig"];
const KEYS: [&str; 4] = ["k", "k:0", "__proto__", "*"];

/// A step's outcome: what is wrong.
pub(crate) type Step = Result<(), String>;

pub(crate) struct World {
    addr: SocketAddr,
    pub(crate) canaries: Canaries,
    tenants: Vec<Tenant>,
    pub(crate) dice: Dice,
    /// Texts and answers that were searched.
    pub(crate) searched: usize,
    /// Recorded or volatile events that reached somebody.
    pub(crate) events: usize,
    /// Sessions that were taken up by their own client.
    pub(crate) resumed: usize,
    /// Which organisation was shown each session that was in a list.
    pub(crate) sessions: BTreeMap<String, usize>,
    /// Lines of the log that were searched.
    pub(crate) logged: usize,
}

struct Tenant {
    tokens: Vec<String>,
    server: String,
    admin: String,
    http: Http,
    seats: Vec<Seat>,
    rooms: Rooms,
    touched: BTreeSet<String>,
}

/// A client's place: who sits there does not change, its connection may.
struct Seat {
    user: usize,
    door: Door,
    client: Client,
    rooms: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(addr: SocketAddr, seed: u64) -> Self {
        let canaries = Canaries::new(ORGS, seed);
        let tenants = (0..ORGS).map(|org| Tenant::new(addr, canaries.of(org))).collect();
        let dice = Dice(seed);
        Self {
            addr,
            canaries,
            tenants,
            dice,
            searched: 0,
            events: 0,
            resumed: 0,
            sessions: BTreeMap::new(),
            logged: 0,
        }
    }

    /// One operation of a random client of a random organisation.
    pub(crate) fn step(&mut self) -> Step {
        let org = self.dice.below(ORGS);
        let seat = self.dice.below(self.tenants[org].seats.len());
        match self.dice.below(100) {
            0..28 => self.publish(org, seat),
            28..42 => self.subscribe(org, seat),
            42..52 => self.unsubscribe(org, seat),
            52..58 => self.history(org, seat),
            58..65 => self.presence(org, seat),
            65..75 => self.publish_by_http(org),
            75..79 => self.batch(org),
            79..86 => self.read_by_http(org),
            86..89 => self.look_back(org),
            89..93 => self.come_back(org, seat),
            93..96 => self.odd_target(org),
            96..99 => self.ask(org, seat, "whisper", &json!({ "c": self.canaries.of(org) })).map(drop),
            _ => self.metrics(),
        }?;
        self.look(org, seat)
    }

    /// Everything that is still on its way is heard and searched.
    pub(crate) fn finish(&mut self) -> Step {
        for org in 0..ORGS {
            for seat in 0..self.tenants[org].seats.len() {
                self.tenants[org].seats[seat].client.settle();
                self.look(org, seat)?;
            }
        }
        self.metrics()?;
        let lines = logs::take();
        self.logged = lines.len();
        lines.iter().try_for_each(|line| self.search_line(line))
    }

    /// A log line may be shown to the organisation it names; payloads stand in none.
    fn search_line(&self, line: &logs::Line) -> Step {
        let of = |org: &usize| line.org.as_deref() == Some(self.canaries.of(*org));
        match self.canaries.in_text(&line.text).into_iter().find(|org| !of(org)) {
            Some(other) => Err(format!("a log line holds what is of {other}: {line:?}")),
            None => Ok(()),
        }
    }

    fn search(&mut self, org: usize, text: &str) -> Step {
        self.searched += 1;
        match self.canaries.foreign(org, text) {
            Some(other) => Err(format!("{org} sees a foreign canary, of {other}: {text}")),
            None => Ok(()),
        }
    }

    /// Searches what a client heard.
    fn look(&mut self, org: usize, seat: usize) -> Step {
        for text in std::mem::take(&mut self.tenants[org].seats[seat].client.heard) {
            self.events += usize::from(text.starts_with("42") || text.starts_with("{\"type\":\"event\""));
            self.search(org, &text)?;
        }
        Ok(())
    }

    fn ask(&mut self, org: usize, seat: usize, command: &str, body: &Value) -> Result<Value, String> {
        Ok(self.tenants[org].seats[seat].client.ask(command, body))
    }

    fn http(
        &mut self,
        org: usize,
        method: &str,
        target: &str,
        token: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let answer = self.tenants[org].http.as_bearer(method, target, token, body);
        self.search(org, &answer.head)?;
        self.search(org, &answer.body)?;
        Ok(answer)
    }

    fn room(&mut self) -> &'static str {
        self.dice.of(&NAMES)
    }

    fn data(&mut self, org: usize) -> Value {
        json!({ "c": self.canaries.of(org), "n": self.dice.below(3) })
    }

    fn publish(&mut self, org: usize, seat: usize) -> Step {
        let (room, data) = (self.room(), self.data(org));
        let key = (self.dice.below(4) == 0).then(|| self.dice.of(&KEYS));
        let mut body = json!({ "room": room, "event": self.dice.of(&EVENTS), "data": data });
        if let Some(key) = key {
            (body["key"], body["event"]) = (key.into(), "said".into());
        }
        if self.dice.below(5) == 0 {
            body["exceptSelf"] = true.into();
        }
        let ack = self.ask(org, seat, "publish", &body)?;
        self.published(org, room, &ack, key, &data)
    }

    /// What an acknowledgement must say: yes for what one may do, and positions of one's own.
    fn published(&mut self, org: usize, room: &str, ack: &Value, key: Option<&str>, data: &Value) -> Step {
        self.search(org, &ack.to_string())?;
        let tenant = &mut self.tenants[org];
        if !room.starts_with("lobby:") || room.chars().any(char::is_control) {
            return if ack["ok"] == false {
                Ok(())
            } else {
                Err(format!("{room:?} was published to: {ack}"))
            };
        }
        tenant.touched.insert(room.to_owned());
        tenant.rooms.of(room).published(ack, key, data)
    }

    fn subscribe(&mut self, org: usize, seat: usize) -> Step {
        let room = self.room();
        let mut body = json!({ "room": room });
        let whose = self.dice.below(ORGS);
        match self.dice.below(4) {
            0 => body["rewind"] = 3.into(),
            1 => {
                // A position of one's own, or of another organisation for the room of the same name.
                let Some((epoch, offset, tag)) = self.tenants[whose].rooms.position(room).cloned() else {
                    return Ok(());
                };
                let offset = offset.saturating_sub(self.dice.below(4) as u64);
                body["since"] = json!({ "epoch": epoch, "offset": offset, "tag": tag });
            }
            _ => {}
        }
        let ack = self.ask(org, seat, "subscribe", &body)?;
        self.search(org, &ack.to_string())?;
        if whose != org && body["since"].is_object() && ack["recovered"] == true {
            return Err(format!("{org} went on from a position of {whose}: {ack}"));
        }
        let tenant = &mut self.tenants[org];
        let seat = &mut tenant.seats[seat];
        let own = room.strip_prefix("user:") == Some(USERS[seat.user]);
        let open = (room.starts_with("lobby:") || own) && !room.chars().any(char::is_control);
        if (ack["ok"] == true) != open {
            return Err(format!("{room:?}: {ack}"));
        }
        if open {
            seat.rooms.insert(room.to_owned());
            tenant.touched.insert(room.to_owned());
        }
        Ok(())
    }

    fn unsubscribe(&mut self, org: usize, seat: usize) -> Step {
        let room = self.room();
        let ack = self.ask(org, seat, "unsubscribe", &json!({ "room": room }))?;
        self.tenants[org].seats[seat].rooms.remove(room);
        self.search(org, &ack.to_string())
    }

    fn history(&mut self, org: usize, seat: usize) -> Step {
        let mut body = json!({ "room": self.room(), "limit": self.dice.below(20) });
        let whose = self.dice.below(ORGS);
        if let Some((epoch, offset, tag)) = self.tenants[whose].rooms.position(body["room"].as_str().unwrap())
        {
            body["since"] = json!({ "epoch": epoch, "offset": offset.saturating_sub(3), "tag": tag });
        }
        let ack = self.ask(org, seat, "history", &body)?;
        self.search(org, &ack.to_string())
    }

    fn presence(&mut self, org: usize, seat: usize) -> Step {
        let room = self.room();
        if !room.starts_with("lobby:") {
            return Ok(());
        }
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ack = self.ask(org, seat, "presence", &json!({ "room": room }))?;
            self.search(org, &ack.to_string())?;
            let expected = self.tenants[org].members(room);
            // A connection that was cut is noticed a little later.
            if ack["ok"] == false || ack["counts"] == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{org} counts {} in {room}, not {expected}", ack["counts"]));
            }
        }
    }

    fn publish_by_http(&mut self, org: usize) -> Step {
        let (data, room) = (self.data(org), self.room());
        let to = match self.dice.below(4) {
            0 => json!({ "room": room }),
            1 => json!({ "rooms": [room, "lobby:1", "nokind:1"] }),
            2 => json!({ "userId": self.dice.of(&USERS) }),
            _ => json!({ "org": self.canaries.of(self.dice.below(ORGS)) }),
        };
        let mut body = json!({ "event": self.dice.of(&EVENTS), "data": data });
        body.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        let server = self.tenants[org].server.clone();
        let answer = self.http(org, "POST", "/api/publish", &server, &body.to_string())?;
        let ack: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        if let Some(spoken_to) = to["org"].as_str() {
            let own = spoken_to == self.canaries.of(org);
            let right = if own { answer.status == 200 } else { answer.status == 404 };
            return if right { Ok(()) } else { Err(format!("{org} spoke to {spoken_to}: {ack}")) };
        }
        match to["rooms"].as_array() {
            Some(rooms) => {
                rooms.iter().zip(ack["results"].as_array().unwrap()).try_for_each(|(room, ack)| {
                    self.published_by_server(org, room.as_str().unwrap(), ack, &data)
                })
            }
            None if to["userId"].is_string() => Ok(()),
            None => self.published_by_server(org, room, &ack, &data),
        }
    }

    /// A server speaks in the users' rooms as well.
    fn published_by_server(&mut self, org: usize, room: &str, ack: &Value, data: &Value) -> Step {
        if room.starts_with("user:") && ack["ok"] == true {
            self.tenants[org].touched.insert(room.to_owned());
            return self.search(org, &ack.to_string());
        }
        self.published(org, room, ack, None, data)
    }

    fn batch(&mut self, org: usize) -> Step {
        let (room, data) = (self.room(), self.data(org));
        let message = json!({ "room": room, "event": "said", "data": data });
        let body = json!({ "messages": [message, message], "key": format!("batch {}", self.dice.below(3)) });
        let token = self.tenants[org].tokens[0].clone();
        let answer = self.http(org, "POST", "/api/publish/batch", &token, &body.to_string())?;
        let ack: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        // A key that stands for another batch is refused for all of this one.
        let whole = std::slice::from_ref(&ack);
        for (at, ack) in ack["results"].as_array().map_or(whole, Vec::as_slice).iter().enumerate() {
            let key = format!("{}:{at}", body["key"].as_str().unwrap());
            self.published(org, room, ack, Some(&key), &data)?;
        }
        Ok(())
    }

    fn read_by_http(&mut self, org: usize) -> Step {
        let room = segment(self.room());
        let position = self.tenants[self.dice.below(ORGS)].rooms.position("lobby:1").cloned();
        let since = position.map_or(String::new(), |(epoch, offset, _)| format!("?since={epoch}:{offset}"));
        let target = match self.dice.below(5) {
            0 => return self.list(org),
            1 => format!("/api/rooms/{room}/history{since}"),
            2 => format!("/api/rooms/{room}/presence"),
            3 => format!("/api/rooms/{room}/stats"),
            _ => format!("/api/rooms/{room}/history?limit=5"),
        };
        let token = self.tenants[org].tokens[self.dice.below(2)].clone();
        self.http(org, "GET", &target, &token, "").map(drop)
    }

    /// Reads who was connected, and what happened: of users whom all organisations have.
    fn look_back(&mut self, org: usize) -> Step {
        let user = self.dice.below(USERS.len());
        let (own, admin) = (self.tenants[org].tokens[user].clone(), self.tenants[org].admin.clone());
        let (target, token) = match self.dice.below(3) {
            0 => ("/api/auth/sessions".to_owned(), own),
            1 => (format!("/api/users/{}/sessions", segment(USERS[user])), admin),
            _ => return self.http(org, "GET", "/api/audit?limit=20", &admin, "").map(drop),
        };
        let answer = self.http(org, "GET", &target, &token, "")?;
        let list: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        for session in list["sessions"].as_array().into_iter().flatten() {
            let id = session["id"].as_str().unwrap_or_default().to_owned();
            let whose = *self.sessions.entry(id).or_insert(org);
            if whose != org {
                return Err(format!("{org} is shown a session of {whose}: {session}"));
            }
        }
        Ok(())
    }

    /// The list has each room once, only those somebody of the organisation named, and its counts.
    fn list(&mut self, org: usize) -> Step {
        let (server, deadline) = (self.tenants[org].server.clone(), Instant::now() + DEADLINE);
        loop {
            let answer = self.http(org, "GET", "/api/rooms", &server, "")?;
            let list: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
            let wrong = self.tenants[org].wrong_in(list["rooms"].as_array().unwrap());
            match wrong {
                None => return Ok(()),
                Some(room) if Instant::now() > deadline => return Err(format!("{org} lists {room}")),
                Some(_) => {}
            }
        }
    }

    /// Cuts a connection and comes back, with one's own session or with another organisation's.
    fn come_back(&mut self, org: usize, seat: usize) -> Step {
        let door = self.tenants[org].seats[seat].door;
        let whose = if self.dice.below(2) == 0 { org } else { self.dice.below(ORGS) };
        self.look(org, seat)?;
        let ticket = self.tenants[whose].seats[seat].client.ticket.clone();
        let (addr, tenant) = (self.addr, &mut self.tenants[org]);
        let token = &tenant.tokens[tenant.seats[seat].user];
        let asked = ticket.as_ref().filter(|_| door == Door::SocketIo);
        let mut client =
            Client::resume(addr, door, Some(token), asked).map_err(|refusal| refusal.to_string())?;
        let pid = |ticket: &crate::client::Ticket| ticket.pid.clone();
        let taken_up = asked.is_some() && client.ticket.as_ref().map(pid) == asked.map(pid);
        if taken_up && whose != org {
            return Err(format!("{org} took up a session of {whose}"));
        }
        if let (true, Some(now), Some(before)) = (taken_up, &mut client.ticket, ticket) {
            now.offset = now.offset.take().or(before.offset);
        }
        let seat = &mut tenant.seats[seat];
        std::mem::replace(&mut seat.client, client).cut();
        if !taken_up {
            seat.rooms = [format!("user:{}", USERS[seat.user])].into();
        }
        self.resumed += usize::from(taken_up);
        Ok(())
    }

    fn odd_target(&mut self, org: usize) -> Step {
        let target = self.dice.of(&TARGETS);
        let token = self.tenants[org].tokens[0].clone();
        let answer = self.http(org, "GET", target, &token, "")?;
        let fine = answer.status < 500 && (answer.status < 400 || answer.body.contains("\"code\""));
        if fine { Ok(()) } else { Err(format!("{target}: {}{}", answer.head, answer.body)) }
    }

    /// The figures are of all organisations, and name none.
    fn metrics(&mut self) -> Step {
        let answer = self.tenants[0].http.ask("GET", "/metrics", "", "");
        self.searched += 1;
        match self.canaries.in_text(&answer.body).is_empty() && answer.status == 200 {
            true => Ok(()),
            false => Err(format!("the metrics name an organisation: {}", answer.body)),
        }
    }
}

impl Tenant {
    fn new(addr: SocketAddr, org: &str) -> Self {
        let email = "alice@same.example";
        let claims = |user: &str| json!({ "sub": user, "org": org, "email": email, "jti": "same" });
        let tokens: Vec<String> = USERS.iter().map(|user| token(&claims(user))).collect();
        let server = token(&json!({ "sub": "backend", "org": org, "scope": "publish" }));
        let admin = token(&json!({ "sub": "admin", "org": org, "roles": ["admin"] }));
        let places = USERS.iter().enumerate().flat_map(|(at, _)| DOORS.map(|door| (at, door)));
        let seat = |(user, door): (usize, Door)| Seat {
            user,
            door,
            client: Client::enter(addr, door, Some(&tokens[user])).unwrap_or_else(|no| panic!("{no}")),
            rooms: [format!("user:{}", USERS[user])].into(),
        };
        let seats: Vec<Seat> = places.map(seat).collect();
        let touched = USERS.iter().map(|user| format!("user:{user}")).collect();
        Self { seats, tokens, server, admin, http: Http::new(addr), rooms: Rooms::default(), touched }
    }

    /// Who is in a room, as the counts of presence have to say it.
    fn members(&self, room: &str) -> Value {
        let there: Vec<&Seat> = self.seats.iter().filter(|seat| seat.rooms.contains(room)).collect();
        let users: BTreeSet<usize> = there.iter().map(|seat| seat.user).collect();
        json!({ "connections": there.len(), "users": users.len() })
    }

    fn wrong_in(&self, rooms: &[Value]) -> Option<String> {
        let mut names = BTreeSet::new();
        let wrong = |room: &&Value| {
            let name = room["room"].as_str().unwrap();
            let members = self.members(name)["connections"] == room["connections"];
            !members || !self.touched.contains(name) || !names.insert(name.to_owned())
        };
        rooms.iter().find(wrong).map(Value::to_string)
    }
}
