//! What can be mounted together, and what is said of it.
#![allow(clippy::unwrap_used)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::command::NoEvent;
use tidings_app::describe::{Path, SignIn, asyncapi, manifests, openapi, typescript};
use tidings_app::{
    App, Channel, Command, Ctx, Event, Keeps, Migration, Refusal, Registry, Requires, Room, RoomKind, Rule,
};
use tidings_core::Kinds;

/// A channel with one command, which is what a macro's arguments say.
macro_rules! channel {
    ($name:ident, $namespace:literal, $command:literal, $kind:literal, $rules:expr, { $($data:tt)* }, $reply:ty) => {
        mod $name {
            use super::*;
            #[derive(Deserialize, JsonSchema)]
            pub(super) enum Say {
                #[serde(rename = $command)]
                Said(Data),
            }
            #[derive(Deserialize, JsonSchema)]
            #[allow(dead_code, reason = "it is only described")]
            $($data)*
            impl Command for Say {
                const RULES: &'static [Requires] = $rules;
            }
            pub(super) struct It;
            impl Channel for It {
                const NAMESPACE: &'static str = $namespace;
                type Command = Say;
                type Event = NoEvent;
                type Reply = $reply;
                type Snapshot = ();
                fn kinds(&self) -> Vec<RoomKind> {
                    vec![RoomKind::new($kind, "Rooms.", Keeps::Nothing)]
                }
                async fn handle(&self, _: Ctx<'_, Self>, _: Say) -> Result<$reply, Refusal> {
                    unreachable!("nobody says anything here")
                }
                async fn join(&self, _: Ctx<'_, Self>, _: &Room) -> Result<(), Refusal> {
                    Ok(())
                }
            }
        }
    };
}

#[test]
fn a_durable_kind_may_be_batched_but_neither_throttled_nor_told_in_parts() {
    struct Boards(RoomKind);
    impl Channel for Boards {
        const NAMESPACE: &'static str = "/boards";
        type Command = tidings_app::command::NoCommand;
        type Event = NoEvent;
        type Reply = ();
        type Snapshot = ();
        fn kinds(&self) -> Vec<RoomKind> {
            vec![self.0.clone()]
        }
        async fn handle(&self, _: Ctx<'_, Self>, command: Self::Command) -> Result<(), Refusal> {
            match command {}
        }
        async fn join(&self, _: Ctx<'_, Self>, _: &Room) -> Result<(), Refusal> {
            Ok(())
        }
    }
    let second = std::time::Duration::from_secs(1);
    let board = |keeps| RoomKind::new("board", "Ranks.", keeps);
    let durable = Keeps::Durable { size: 10, ttl: second };
    let mount = |kind| {
        let app: App = App::new("boards", "1", "Boards.").channel(Boards(kind));
        Registry::new(vec![app]).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(mount(board(durable)), Ok(()));
    assert_eq!(mount(board(Keeps::Nothing).pace(second, tidings_app::Per::Room).diff(5)), Ok(()));
    assert_eq!(mount(board(durable).batch(second, 5)), Ok(()));
    for kind in [board(durable).pace(second, tidings_app::Per::Slot), board(durable).diff(5)] {
        assert!(mount(kind).unwrap_err().contains("durable"));
    }
}

const SAY: &[Requires] = &[Requires::new("say", Rule::SignedIn)];

channel!(
    first,
    "/",
    "say",
    "first",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    same_command,
    "/",
    "say",
    "other",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    elsewhere,
    "/x",
    "say",
    "third",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    same_kind,
    "/y",
    "say",
    "first",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    lax,
    "/",
    "say",
    "lax",
    SAY,
    {
        pub(super) struct Data {}
    },
    ()
);
channel!(
    engines,
    "/",
    "publish",
    "e",
    &[Requires::new("publish", Rule::SignedIn)],
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    own_publish,
    "/z",
    "publish",
    "z",
    &[Requires::new("publish", Rule::SignedIn)],
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    lobby,
    "/",
    "say",
    "lobby",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    unruled,
    "/",
    "say",
    "u",
    &[],
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    misruled,
    "/",
    "say",
    "m",
    &[Requires::new("sya", Rule::SignedIn)],
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    asks,
    "/",
    "say",
    "a",
    &[Requires::new("say", Rule::Ask)],
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    slashless,
    "x",
    "say",
    "s",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    ()
);
channel!(
    number,
    "/",
    "say",
    "n",
    SAY,
    {
        #[serde(deny_unknown_fields)]
        pub(super) struct Data {}
    },
    u32
);

fn problem(apps: Vec<App>) -> String {
    Registry::new(apps).err().map(|error| error.to_string()).unwrap_or_default()
}

fn app(channel: impl Channel) -> App {
    App::new("one", "1", "One.").channel(channel)
}

#[test]
fn what_contradicts_itself_or_another_is_not_mounted() {
    assert_eq!(problem(vec![app(first::It), App::new("two", "1", "").channel(elsewhere::It)]), "");
    assert_eq!(problem(vec![app(own_publish::It)]), "", "elsewhere than on / the engine's names are free");
    let table = [
        (
            vec![app(first::It), App::new("two", "1", "").channel(same_command::It)],
            "the command say on / is somebody else's",
        ),
        (
            vec![app(first::It), App::new("two", "1", "").channel(same_kind::It)],
            "the rooms first:… are somebody else's",
        ),
        (vec![app(first::It), app(elsewhere::It)], "another app of this name"),
        (vec![app(engines::It)], "the command publish on / is somebody else's"),
        (vec![app(lobby::It)], "the rooms lobby:… are somebody else's"),
        (vec![app(lax::It)], "no struct with `#[serde(deny_unknown_fields)]`"),
        (vec![app(unruled::It)], "nothing is said of what say requires"),
        (vec![app(misruled::It)], "the rules name sya, which is no command"),
        (vec![app(asks::It)], "is for rooms, not for commands"),
        (vec![app(slashless::It)], "does not start with a slash"),
        (vec![app(number::It)], "the reply to say is no struct"),
        (vec![app(first::It).migrations(FOREIGN)], "a migration is in the name of core"),
    ];
    for (apps, expected) in table {
        let problem = problem(apps);
        assert!(problem.contains(expected), "{problem:?} instead of {expected:?}");
    }
}

const FOREIGN: &[Migration] =
    &[Migration { owner: "core", number: 99, name: "x", both: "", sqlite: "", postgres: "" }];

/// Something that is heard.
#[derive(Serialize, JsonSchema)]
enum Heard {
    /// Something was said.
    #[serde(rename = "said:it")]
    Said {
        /// By whom.
        by: Option<String>,
    },
    #[serde(rename = "over")]
    Over,
}

impl Event for Heard {}

#[test]
fn every_reference_of_every_document_leads_somewhere() {
    let (registry, _) = Registry::new(vec![app(first::It)]).unwrap();
    let said = registry.description();
    let own = [Path {
        method: "get",
        path: "/api/things/{id}",
        tag: "things",
        about: "A thing.",
        sign_in: SignIn::Needed,
        query: &[("page", "Which.")],
        needs: &[],
        body: None,
        keyed: false,
        statuses: &[200],
        text: None,
    }];
    for document in [openapi(said, "1", &own), asyncapi(said, "1"), manifests(said, &Kinds::default())] {
        let mut references = 0;
        walk(&document, &mut |value| {
            let Some(path) = value["$ref"].as_str() else { return };
            let found = document.pointer(path.strip_prefix('#').unwrap());
            assert!(found.is_some(), "{path} leads nowhere");
            references += 1;
        });
        assert!(references > 5, "the references were not read");
    }
    let types = typescript(said);
    assert!(types.contains("\"say\": { data: Data; reply: Record<string, never> };"), "{types}");
}

fn walk(value: &serde_json::Value, see: &mut impl FnMut(&serde_json::Value)) {
    see(value);
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        serde_json::Value::Object(members) => members.values().for_each(|member| walk(member, see)),
        _ => {}
    }
}

#[test]
fn an_event_is_its_name_and_its_data() {
    use tidings_app::commit::Emitted;
    let room = Room::new(&tidings_app::Org::default(), "first:1", 200).unwrap();
    let said = Emitted::new(&room, &Heard::Said { by: Some("ada \u{1} \"q\"".into()) }).unwrap();
    assert_eq!((said.event.as_str(), said.payload.text()), ("said:it", "{\"by\":\"ada \\u0001 \\\"q\\\"\"}"));
    let over = Emitted::new(&room, &Heard::Over).unwrap();
    assert_eq!((over.event.as_str(), over.payload.text()), ("over", "null"));
}
