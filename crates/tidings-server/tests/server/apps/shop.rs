//! An app that does everything an app can do, right and wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::command::NoCommand;
use tidings_app::*;
use tidings_core::limits::Rate;

/// What the app saw besides its tables.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) woken: AtomicU64,
    /// Sums what was taken, in memory; and the sum that every event found there.
    pub(crate) taken: AtomicU64,
    pub(crate) left: std::sync::Mutex<Vec<String>>,
}

pub(crate) fn shop(seen: &Arc<Seen>) -> App<axum::Router> {
    App::new("shop", "0.1.0", "A shop.")
        .channel(Counter(seen.clone()))
        .channel(Till)
        .migrations(MIGRATIONS)
        .routes(|stage| {
            let ask = async move |axum::Extension(caller): axum::Extension<Caller>| {
                let mut reader = stage.read().await.unwrap();
                let row = reader.row("SELECT count(*) FROM shop_takes", args![]).await.unwrap().unwrap();
                format!("{}:{}", caller.who.user.as_deref().unwrap_or("nobody"), row.int(0).unwrap())
            };
            axum::Router::new()
                .route("/count", axum::routing::get(ask))
                .route("/echo", axum::routing::post(async |said: String| said))
        })
}

#[derive(Deserialize, JsonSchema)]
pub(crate) enum Say {
    #[serde(rename = "take")]
    Take(Take),
    #[serde(rename = "try")]
    Try(Try),
    #[serde(rename = "admin")]
    Admin(Nothing),
    #[serde(rename = "own")]
    Own(Own),
    #[serde(rename = "server")]
    Server(Nothing),
    #[serde(rename = "verified")]
    Verified(Nothing),
    #[serde(rename = "gold")]
    Gold(Nothing),
    #[serde(rename = "anyone")]
    Anyone(Nothing),
    #[serde(rename = "rare")]
    Rare(Nothing),
    #[serde(rename = "old")]
    Old(Old),
    #[serde(rename = "enter")]
    Enter(Enter),
    #[serde(rename = "ring")]
    Ring(Ring),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Take {
    item: Text<1, 20>,
    how_many: Whole<1, 10>,
    #[expect(dead_code, reason = "it is there to be checked")]
    notes: Option<Many<Text<1, 5>, 0, 3>>,
    from: Option<u32>,
    to: Option<u32>,
    /// The client's own key.
    order: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Try {
    how: How,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    Refuse,
    Error,
    Swallow,
    Panic,
    Slow,
    Twice,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    user: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Old {
    fail: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enter {
    room: String,
}

/// Bells that are rung by one command.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ring {
    times: Whole<1, 10_000>,
    /// All of them in the command's own transaction.
    at_once: bool,
    refuse: bool,
}

impl Command for Say {
    const RULES: &'static [Requires] = &[
        Requires::new("take", Rule::SignedIn),
        Requires::new("try", Rule::SignedIn),
        Requires::new("admin", Rule::Role(compact("admin"))),
        Requires::new("own", Rule::Owner),
        Requires::new("server", Rule::Server),
        Requires::new("verified", Rule::Verified),
        Requires::new("gold", Rule::Claim(compact("tier"), compact("gold"))),
        Requires::new("anyone", Rule::Anyone),
        Requires::new("rare", Rule::SignedIn).rate(Rate::per_minute(2)),
        Requires::new("old", Rule::SignedIn).acknowledged(AckStyle::Success),
        Requires::new("enter", Rule::SignedIn),
        Requires::new("ring", Rule::SignedIn),
    ];

    fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Take(Take { from: Some(from), to: Some(to), .. }) if from > to => {
                Err(Invalid::new("from", "lies behind to"))
            }
            _ => Ok(()),
        }
    }

    fn owner(&self) -> Option<&str> {
        if let Self::Own(own) = self { Some(&own.user) } else { None }
    }

    fn key(&self) -> Option<&str> {
        if let Self::Take(take) = self { take.order.as_deref() } else { None }
    }
}

const fn compact(text: &'static str) -> CompactString {
    CompactString::const_new(text)
}

#[derive(Serialize, JsonSchema)]
pub(crate) enum Heard {
    #[serde(rename = "taken")]
    Taken { number: i64, item: String, sum: i64 },
    #[serde(rename = "bell")]
    Bell,
}

impl Event for Heard {}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {
    number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Stock {
    taken: i64,
}

pub(crate) struct Counter(Arc<Seen>);

impl Channel for Counter {
    const NAMESPACE: &'static str = "/shop";
    const PERSONAL: &'static [&'static str] = &["basket"];
    const WELCOMES: bool = true;
    type Command = Say;
    type Event = Heard;
    type Reply = Done;
    type Snapshot = Stock;

    fn kinds(&self) -> Vec<RoomKind> {
        let keeps = Keeps::Durable { size: 1_000, ttl: Duration::from_secs(3_600) };
        vec![
            RoomKind::new("stock", "What was taken.", keeps).history(Rule::SignedIn),
            RoomKind::new("basket", "Somebody's own.", Keeps::Nothing).subscribe(Rule::Owner),
        ]
    }

    async fn handle(&self, ctx: Ctx<'_, Self>, command: Say) -> Result<Done, Refusal> {
        match command {
            Say::Take(take) => self.take(ctx, take).await,
            Say::Try(Try { how }) => self.attempt(ctx, how).await,
            Say::Old(Old { fail: true }) => Err(Refusal::new(Code::Conflict, "it is old")),
            Say::Ring(ring) => self.ring(ctx, ring).await,
            Say::Enter(Enter { room }) => {
                ctx.join(&ctx.room(&room)?).await?;
                ctx.send(&Heard::Bell)?;
                Ok(Done { number: 0, by: None })
            }
            _ => Ok(Done { number: 0, by: ctx.who().user.as_deref().map(Into::into) }),
        }
    }

    async fn join(&self, ctx: Ctx<'_, Self>, room: &Room) -> Result<Stock, Refusal> {
        if room.id() == "closed" {
            return Err(Refusal::new(Code::Conflict, "this shop is closed"));
        }
        if room.kind() == "basket" {
            return Ok(Stock { taken: 0 });
        }
        let mut reader = ctx.read().await?;
        let sql =
            "SELECT CAST(coalesce(sum(many), 0) AS BIGINT) FROM shop_takes WHERE org = $1 AND room = $2";
        let row = reader.row(sql, args![room.org(), room.name()]).await?;
        Ok(Stock { taken: row.map_or(Ok(0), |row| row.int(0))? })
    }

    async fn leave(&self, ctx: Ctx<'_, Self>, room: &Room) {
        let who = ctx.who().user.clone().unwrap_or_default();
        self.0.left.lock().unwrap().push(format!("{who} {}", room.name()));
    }

    async fn connected(&self, ctx: Ctx<'_, Self>) {
        ctx.send(&Heard::Bell).unwrap();
    }

    async fn wake(&self, _: Stage) -> Option<Duration> {
        let woken = self.0.woken.fetch_add(1, Ordering::Relaxed);
        (woken < 3).then_some(Duration::from_millis(5))
    }
}

const INSERT: &str = "INSERT INTO shop_takes (org, room, number, many) VALUES ($1, $2, $3, $4)";

impl Counter {
    async fn take(&self, ctx: Ctx<'_, Self>, take: Take) -> Result<Done, Refusal> {
        let room = ctx.room("stock:all")?;
        let (seen, by) = (self.0.clone(), ctx.user()?.to_owned());
        ctx.commit(move |tx| {
            Box::pin(async move {
                let sql = "SELECT count(*), CAST(coalesce(sum(many), 0) AS BIGINT) FROM shop_takes \
                           WHERE org = $1 AND room = $2";
                let row = tx.row(sql, args![room.org(), room.name()]).await?;
                let (number, sum) = match row {
                    Some(row) => (row.int(0)? + 1, row.int(1)?),
                    None => (1, 0),
                };
                let many = take.how_many.get();
                if &*take.item == "nothing" {
                    return Err(Refusal::new(Code::NotFound, "there is no such item"));
                }
                tx.run(INSERT, args![room.org(), room.name(), number, many]).await?;
                tx.after(move || {
                    seen.taken.fetch_add(many as u64, Ordering::SeqCst);
                });
                tx.emit(&room, &Heard::Taken { number, item: take.item.into_string(), sum: sum + many })?;
                Ok(Done { number, by: Some(by) })
            })
        })
        .await
    }

    async fn ring(&self, ctx: Ctx<'_, Self>, ring: Ring) -> Result<Done, Refusal> {
        let room = ctx.room("stock:all")?;
        ctx.commit(move |tx| {
            Box::pin(async move {
                let (times, mut tells) = (ring.times.get(), Tells::default());
                for number in 1..=times {
                    let rung = Heard::Taken { number, item: "bell".into(), sum: number };
                    if ring.at_once {
                        tx.emit(&room, &rung)?;
                    } else {
                        tells.say(&room, &rung)?;
                    }
                }
                tx.tell(tells)?;
                if ring.refuse {
                    Err(Refusal::conflict("not today"))
                } else {
                    Ok(Done { number: times, by: None })
                }
            })
        })
        .await
    }

    /// Writes a row and says something, and then fails.
    async fn attempt(&self, ctx: Ctx<'_, Self>, how: How) -> Result<Done, Refusal> {
        let room = ctx.room("stock:all")?;
        if how == How::Twice {
            ctx.commit(|_| Box::pin(async { Ok(Done { number: 1, by: None }) })).await?;
        }
        ctx.commit(move |tx| {
            Box::pin(async move {
                tx.run(INSERT, args![room.org(), room.name(), -1_i64, 1_000_i64]).await?;
                tx.emit(&room, &Heard::Bell)?;
                match how {
                    How::Refuse => return Err(Refusal::new(Code::Conflict, "not today")),
                    How::Error => drop(tx.run("INSERT INTO shop_nowhere VALUES (1)", args![]).await?),
                    How::Swallow => drop(tx.run("INSERT INTO shop_nowhere VALUES (1)", args![]).await),
                    How::Panic => panic!("the app of the tests panics, as it should"),
                    How::Slow => std::future::pending().await,
                    How::Twice => {}
                }
                Ok(Done { number: -1, by: None })
            })
        })
        .await
    }
}

/// Rooms of which the app says who may hear them.
struct Till;

impl Channel for Till {
    const NAMESPACE: &'static str = "/shop";
    type Command = NoCommand;
    type Event = Heard;
    type Reply = ();
    type Snapshot = ();

    fn kinds(&self) -> Vec<RoomKind> {
        vec![RoomKind::new("till", "Ada's.", Keeps::Nothing).subscribe(Rule::App).publish(Rule::App)]
    }

    async fn handle(&self, _: Ctx<'_, Self>, command: NoCommand) -> Result<(), Refusal> {
        match command {}
    }

    async fn join(&self, _: Ctx<'_, Self>, _: &Room) -> Result<(), Refusal> {
        Ok(())
    }

    async fn admit(&self, ctx: Ctx<'_, Self>, room: &Room, action: Action) -> Result<(), Refusal> {
        if ctx.user()? == "ada" && (action == Action::Subscribe || room.id() == "1") {
            return Ok(());
        }
        Err(Refusal::new(Code::Forbidden, "this till is Ada's"))
    }
}

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "shop",
    number: 1,
    name: "takes",
    both: "CREATE TABLE shop_takes (org TEXT NOT NULL, room TEXT NOT NULL, number BIGINT NOT NULL, \
           many BIGINT NOT NULL, PRIMARY KEY (org, room, number))",
    sqlite: "",
    postgres: "",
}];
