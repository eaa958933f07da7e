//! A list of things to do that several people share: one command, one event, one table.
//!
//! Whoever subscribes to `todo:NAME` gets the list as it stands and then every `todo:added`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::{
    App, Channel, Command, Ctx, Event, Keeps, Migration, Reader, Refusal, Requires, Room, RoomKind, Rule,
    Text, args,
};

/// The app, to be mounted in one line.
pub fn app<R>() -> App<R> {
    App::new("todo", "1.0.0", "Lists that several people share.").channel(Lists).migrations(MIGRATIONS)
}

/// What clients may say. Names on the wire are here and nowhere else.
#[derive(Deserialize, JsonSchema)]
pub enum Say {
    /// Puts something on a list.
    #[serde(rename = "todo:add")]
    Add(Add),
}

/// Something for a list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Add {
    /// The list's name.
    list: Text<1, 64>,
    /// What is to be done.
    title: Text<1, 200>,
}

impl Command for Say {
    const RULES: &'static [Requires] = &[Requires::new("todo:add", Rule::SignedIn)];
}

/// What is heard in `todo:NAME`.
#[derive(Serialize, JsonSchema)]
pub enum Heard {
    /// Something was put on the list.
    #[serde(rename = "todo:added")]
    Added(Item),
}

impl Event for Heard {}

/// Something on a list.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Item {
    /// Counts the list's items from 1.
    number: i64,
    /// What is to be done.
    title: String,
    /// Who wants it done.
    by: String,
}

/// A list, as a newcomer gets it.
#[derive(Serialize, JsonSchema)]
pub struct List {
    /// Its newest items, the oldest of them first.
    items: Vec<Item>,
}

/// The channel: everything that is said on `/` about lists.
struct Lists;

impl Channel for Lists {
    const NAMESPACE: &'static str = "/";
    type Command = Say;
    type Event = Heard;
    type Reply = Item;
    type Snapshot = List;

    fn kinds(&self) -> Vec<RoomKind> {
        let keeps = Keeps::Durable { size: 1_000, ttl: Duration::from_secs(7 * 24 * 3_600) };
        vec![RoomKind::new("todo", "A list, by its name.", keeps)]
    }

    async fn handle(&self, ctx: Ctx<'_, Self>, Say::Add(add): Say) -> Result<Item, Refusal> {
        let (room, by) = (ctx.room(&format!("todo:{}", &*add.list))?, ctx.user()?.to_owned());
        // The row and the event are stored together or not at all, and only then is the event heard.
        ctx.commit(move |tx| {
            Box::pin(async move {
                let sql = "SELECT coalesce(max(number), 0) + 1 FROM todo_items WHERE org = $1 AND list = $2";
                let number =
                    tx.row(sql, args![room.org(), room.id()]).await?.map_or(Ok(1), |row| row.int(0))?;
                let item = Item { number, title: add.title.into_string(), by };
                let sql =
                    "INSERT INTO todo_items (org, list, number, title, by_user) VALUES ($1, $2, $3, $4, $5)";
                tx.run(sql, args![room.org(), room.id(), number, &item.title, &item.by]).await?;
                tx.emit(&room, &Heard::Added(item.clone()))?;
                Ok(item)
            })
        })
        .await
    }

    async fn join(&self, ctx: Ctx<'_, Self>, room: &Room) -> Result<List, Refusal> {
        Ok(List { items: newest(&mut ctx.read().await?, room).await? })
    }
}

/// The newest hundred items of a list.
async fn newest(reader: &mut Reader, room: &Room) -> Result<Vec<Item>, Refusal> {
    let sql = "SELECT number, title, by_user FROM todo_items WHERE org = $1 AND list = $2 \
               ORDER BY number DESC LIMIT 100";
    let rows = reader.rows(sql, args![room.org(), room.id()]).await?;
    let item =
        |row: &tidings_store::Row| Ok(Item { number: row.int(0)?, title: row.text(1)?, by: row.text(2)? });
    rows.iter().rev().map(item).collect()
}

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "todo",
    number: 1,
    name: "items",
    both: "CREATE TABLE todo_items (org TEXT NOT NULL, list TEXT NOT NULL, number BIGINT NOT NULL, \
           title TEXT NOT NULL, by_user TEXT NOT NULL, PRIMARY KEY (org, list, number))",
    sqlite: "",
    postgres: "",
}];
