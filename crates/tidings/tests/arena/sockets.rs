//! The same on Socket.IO namespaces, as a stock client writes and reads it (A1, A3, A4).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tidings_testkit::client::PATIENCE;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::bed::{Bed, Rest, listens, token};

/// A client in one namespace.
struct SocketIo {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: &'static str,
    /// What was heard while something else was waited for: events may come before the answer.
    kept: Vec<String>,
}

impl SocketIo {
    async fn enter(addr: SocketAddr, namespace: &'static str, user: &str) -> Self {
        Self::enter_as(addr, namespace, user, &json!({})).await
    }

    async fn enter_as(addr: SocketAddr, namespace: &'static str, user: &str, more: &Value) -> Self {
        let url = format!("ws://{addr}/socket.io/?EIO=4&transport=websocket");
        let (socket, _) = connect_async(url).await.unwrap();
        let mut client = Self { socket, namespace, kept: Vec::new() };
        client.hear_text("0{").await;
        let auth = json!({"token": token(user, more)});
        client.say(&format!("40{namespace},{auth}")).await;
        client.hear_text(&format!("40{namespace},{{\"sid\"")).await;
        client
    }

    async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text.to_owned())).await.unwrap();
    }

    /// The next packet that begins so, without its beginning.
    async fn hear_text(&mut self, begins: &str) -> String {
        if let Some(at) = self.kept.iter().position(|text| text.starts_with(begins)) {
            return self.kept.remove(at)[begins.len()..].to_owned();
        }
        let hearing = async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let text = message.to_text().unwrap().to_owned();
                if text == "2" {
                    self.say("3").await;
                }
                if let Some(rest) = text.strip_prefix(begins) {
                    return rest.to_owned();
                }
                self.kept.push(text);
            }
        };
        tokio::time::timeout(PATIENCE, hearing)
            .await
            .unwrap_or_else(|_| panic!("nothing begins with {begins}"))
    }

    /// Says a command; what it is acknowledged with.
    async fn ask(&mut self, name: &str, data: &Value) -> Value {
        let namespace = self.namespace;
        self.say(&format!("42{namespace},7{}", json!([name, data]))).await;
        let rest = self.hear_text(&format!("43{namespace},7")).await;
        serde_json::from_str::<Value>(&rest).unwrap()[0].clone()
    }

    /// The data of the next event of a name.
    async fn hear(&mut self, event: &str) -> Value {
        let rest = self.hear_text(&format!("42{},[\"{event}\",", self.namespace)).await;
        serde_json::from_str::<Value>(&format!("[{rest}")).unwrap()[0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_hear_boards_matches_and_themselves_on_their_namespaces() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    let mut board = SocketIo::enter(server.addr(), "/leaderboard", "viewer").await;
    let told = board.ask("subscribe", &json!({"scope": "country", "country": "US"})).await;
    assert_eq!((&told["ok"], &told["snapshot"]["total"]), (&json!(true), &json!(1)), "{told}");
    let told = board.ask("subscribe", &json!({"scope": "global"})).await;
    assert_eq!(
        (&told["room"], &told["snapshot"]["total"]),
        (&json!("leaderboard:global"), &json!(2)),
        "{told}"
    );
    let mut game = SocketIo::enter(server.addr(), "/matches", "bob").await;
    assert_eq!(game.ask("subscribe", &json!({"matchId": "m1"})).await["ok"], true);
    let mut himself = SocketIo::enter(server.addr(), "/players", "bob").await;
    // Whoever answers is in his own room by then.
    himself.ask("nothing", &json!({})).await;
    assert_eq!(game.ask("matchAction", &json!({"matchId": "m1", "action": "attack"})).await["ok"], true);
    assert_eq!(game.hear("playerAction").await["playerId"], "bob");

    studio.win("m1", "bob").await;
    assert_eq!(game.hear("matchCompleted").await["result"]["winnerId"], "bob");
    assert_eq!(game.hear("eloUpdate").await["newRating"], 1220);
    assert_eq!(himself.hear("eloUpdate").await["change"], 20);
    assert_eq!(himself.hear("achievementUnlocked").await["achievement"]["id"], "first-win");
    let change = board.hear("rankChange").await;
    assert_eq!((&change["oldRank"], &change["scope"]), (&json!(1), &json!("global")), "{change}");
    let update = board.hear("leaderboardUpdate").await;
    assert!(update["entries"].is_array() && update["diff"].is_array(), "{update}");
    assert_eq!(board.ask("unsubscribe", &json!({"scope": "global"})).await["ok"], true);
}

/// Two friends: ada, who listens, and bob, whom she was told of as he came.
async fn ada_and_bob(studio: &Rest, addr: SocketAddr) -> (SocketIo, SocketIo) {
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.done("PUT /players/ada/friends/bob", Value::Null).await;
    let mut ada = SocketIo::enter(addr, "/players", "ada").await;
    ada.ask("nothing", &json!({})).await;
    let bob = SocketIo::enter(addr, "/players", "bob").await;
    let told = ada.hear("friendActivity").await;
    assert_eq!(told, json!({"playerId": "bob", "activity": {"type": "online"}}));
    (ada, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_are_told_who_comes_and_who_goes() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    let (mut ada, bob) = ada_and_bob(&studio, server.addr()).await;
    let friends = studio.get("/players/ada/friends").await;
    assert_eq!(friends["friends"][0]["online"], true);
    let SocketIo { mut socket, .. } = bob;
    socket.send(Message::text("41/players,")).await.unwrap();
    assert_eq!(ada.hear("friendActivity").await["activity"]["type"], "offline");
}

/// Says what others are to see of somebody.
async fn shows(addr: SocketAddr, user: &str, status: &str) {
    wishes(addr, user, json!({"status": status})).await;
}

async fn wishes(addr: SocketAddr, user: &str, mut wish: Value) {
    let mut client = listens(addr, user).await;
    wish["type"] = "presence:set".into();
    let said = client.ask(wish).await.unwrap();
    assert_eq!(said["ok"], true, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invisible_is_offline_for_everybody_else_and_friends_are_told_no_more() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let addr = server.addr();
    let studio = Rest::server(addr);
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.done("PUT /players/ada/friends/bob", Value::Null).await;
    let online = async |asker: &Rest| asker.get("/players/bob").await["online"].clone();
    let (as_ada, as_bob) = (Rest::player(addr, "ada"), Rest::player(addr, "bob"));
    let mut ada = SocketIo::enter(addr, "/players", "ada").await;
    ada.ask("nothing", &json!({})).await;
    shows(addr, "bob", "invisible").await;

    // He comes and nobody hears of it; then he is seen, which is the first that friends are told.
    let mut bob = SocketIo::enter(addr, "/players", "bob").await;
    bob.ask("nothing", &json!({})).await;
    ada.ask("nothing", &json!({})).await;
    let seen = (online(&as_ada).await, online(&studio).await, online(&as_bob).await);
    assert_eq!(seen, (json!(false), json!(false), json!(true)));
    let friends = as_ada.get("/players/ada/friends").await;
    assert_eq!(friends["friends"][0]["online"], false, "{friends}");
    assert!(ada.kept.iter().all(|text| !text.contains("friendActivity")), "{:?}", ada.kept);
    shows(addr, "bob", "auto").await;
    assert_eq!(ada.hear("friendActivity").await["activity"]["type"], "online");
    assert_eq!(online(&as_ada).await, true);

    // He goes for them when he becomes invisible, and not once more when he is gone.
    shows(addr, "bob", "invisible").await;
    assert_eq!(ada.hear("friendActivity").await["activity"]["type"], "offline");
    bob.say("41/players,").await;
    studio.start("m1", &["ada", "bob"], Value::Null).await;
    studio.win("m1", "ada").await;
    ada.hear("eloUpdate").await;
    assert!(ada.kept.iter().all(|text| !text.contains("friendActivity")), "{:?}", ada.kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_are_told_when_the_time_of_being_invisible_is_over() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let (mut ada, _bob) = ada_and_bob(&Rest::server(server.addr()), server.addr()).await;
    // Time enough for friends to be told that he goes, a second after he says so.
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(4);
    wishes(server.addr(), "bob", json!({"status": "invisible", "until": until.as_millis() as u64})).await;
    assert_eq!(ada.hear("friendActivity").await["activity"]["type"], "offline");
    assert_eq!(ada.hear("friendActivity").await["activity"]["type"], "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_anywhere_is_online() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
    for friend in ["bob", "cleo"] {
        studio.done(&format!("PUT /players/ada/friends/{friend}"), Value::Null).await;
    }
    let _bob = listens(server.addr(), "bob").await;
    let mut cleo = SocketIo::enter(server.addr(), "/leaderboard", "cleo").await;
    cleo.ask("subscribe", &json!({"scope": "global"})).await;
    for (player, online) in [("ada", false), ("bob", true), ("cleo", true)] {
        assert_eq!(studio.get(&format!("/players/{player}")).await["online"], online, "{player}");
    }
    let friends = studio.get("/players/ada/friends").await;
    assert_eq!([&friends["friends"][0]["online"], &friends["friends"][1]["online"]], [true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_submit_results_over_a_socket_and_players_cannot() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.start("m1", &["ada", "bob"], json!({"maxScore": 10})).await;
    let mut ada = SocketIo::enter(server.addr(), "/matches", "ada").await;
    let mut game =
        SocketIo::enter_as(server.addr(), "/matches", "studio", &json!({"scope": "publish"})).await;
    let end = |more: Value| {
        let mut end = json!({"matchId": "m1", "winnerId": "ada", "resultType": "win"});
        more.as_object().unwrap().iter().for_each(|(name, value)| end[name] = value.clone());
        end
    };
    let score = |score: i64| json!({"scores": [{"playerId": "ada", "score": score}]});
    let refused = |answer: Value| answer["error"]["code"].as_str().unwrap_or("none").to_owned();
    assert_eq!(refused(ada.ask("submitResult", &end(json!({}))).await), "forbidden");
    assert_eq!(refused(game.ask("submitResult", &end(score(11))).await), "bad_request");
    assert_eq!(refused(game.ask("submitResult", &end(json!({"matchId": "m2"}))).await), "not_found");
    assert_eq!(studio.get("/matches/m1").await["status"], "started");
    assert_eq!(studio.get("/players/ada").await["games"], 0);

    assert_eq!(ada.ask("subscribe", &json!({"matchId": "m1"})).await["ok"], true);
    let told = game.ask("submitResult", &end(score(10))).await;
    assert_eq!((&told["ok"], &told["snapshot"]["status"]), (&json!(true), &json!("completed")), "{told}");
    assert!(told["sequence"].as_i64() > Some(0), "{told}");
    assert_eq!(ada.hear("matchCompleted").await["result"]["winnerId"], "ada");
    assert_eq!(ada.hear("tidings:left").await, json!({"room": "match:m1", "reason": "closed"}));
    assert_eq!(refused(game.ask("submitResult", &end(json!({}))).await), "conflict");
    assert_eq!(studio.get("/players/ada").await["wins"], 1);
}
