//! How many questions are under way, and what becomes of those who wait for one.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicUsize;

use tidings_core::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;

/// A backend that answers everything with one status and no body.
async fn saying(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{addr}/")
}

/// A backend that answers once it may; and how many questions it got.
async fn backend(may_answer: watch::Receiver<bool>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let questions = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (questions, mut may_answer) = (questions.clone(), may_answer.clone());
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    questions.fetch_add(1, Ordering::SeqCst);
                    if may_answer.wait_for(|may| *may).await.is_err() {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"allow\":true}";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{addr}/"), count)
}

fn hooks(url: String) -> Arc<Hooks> {
    hooks_within(url, 5_000)
}

fn hooks_within(url: String, timeout_ms: u64) -> Arc<Hooks> {
    let config = HooksConfig {
        connect: url,
        secret: "a hook secret of the server's own tests".into(),
        allow_private: true,
        timeout_ms,
        ..HooksConfig::default()
    };
    Arc::new(Hooks::new(&config).unwrap().unwrap())
}

fn connect(hooks: &Hooks) -> &Line {
    hooks.lines[0].as_ref().unwrap()
}

async fn ask(hooks: Arc<Hooks>, user: String) -> Result<Verdict, Refusal> {
    let who = Identity { user: Some(user.into()), ..Identity::anonymous() };
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let caller = Caller { who: &who, connection: None, address, entrance: Entrance::Plain };
    hooks.ask(Purpose::Connect, &caller, Some("/"), None, Draft::default(), 0).await
}

#[tokio::test]
async fn so_many_are_under_way_so_many_wait_and_the_rest_is_refused_at_once() {
    let (answer, may_answer) = watch::channel(false);
    let (url, questions) = backend(may_answer).await;
    let hooks = hooks(url);
    let mut asked = JoinSet::new();
    let more = 100;
    for user in 0..IN_FLIGHT + WAITING + more {
        asked.spawn(ask(hooks.clone(), user.to_string()));
    }
    for _ in 0..more {
        let refused = asked.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        assert_eq!(refused.retry_after_ms, Some(BUSY_MS));
    }
    assert!(questions.load(Ordering::SeqCst) <= IN_FLIGHT);
    answer.send(true).unwrap();
    let allowed = asked.join_all().await;
    assert_eq!(allowed.len(), IN_FLIGHT + WAITING);
    assert!(allowed.iter().all(Result::is_ok), "those who waited are asked about in their turn");
    assert_eq!(connect(&hooks).waiting.load(Ordering::SeqCst), 0);
    assert!(lock(&hooks.flights).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn equal_questions_share_one_request_and_go_on_when_its_asker_leaves() {
    let (answer, may_answer) = watch::channel(false);
    let (url, questions) = backend(may_answer).await;
    let hooks = hooks(url);
    let first = tokio::spawn(ask(hooks.clone(), "ana".into()));
    while questions.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..50).map(|_| tokio::spawn(ask(hooks.clone(), "ana".into()))).collect();
    tokio::task::yield_now().await;
    first.abort();
    answer.send(true).unwrap();
    for other in others {
        assert!(other.await.unwrap().is_ok());
    }
    let sent = questions.load(Ordering::SeqCst);
    assert!(sent <= 2, "{sent} requests: one that was given up, and one for all others");
    assert!(lock(&hooks.flights).is_empty());
}

#[tokio::test]
async fn a_question_that_everybody_gave_up_leaves_nothing_behind() {
    let (_answer, may_answer) = watch::channel(false);
    let (url, questions) = backend(may_answer).await;
    let hooks = hooks(url);
    let asked: Vec<_> = (0..5).map(|_| tokio::spawn(ask(hooks.clone(), "ana".into()))).collect();
    while questions.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    asked.iter().for_each(tokio::task::JoinHandle::abort);
    for asked in asked {
        assert!(asked.await.is_err());
    }
    assert!(lock(&hooks.flights).is_empty());
}

#[test]
fn those_who_give_up_at_the_same_moment_leave_nothing_behind() {
    let hooks = hooks("http://127.0.0.1:9/".into());
    let flight: Flight = Default::default();
    let (first, second) = (hooks.seat(&flight), hooks.seat(&flight));
    // The first has decided that somebody is left, and has not let go of the cell yet.
    let cell = first.cell.clone();
    drop(first);
    drop(second);
    assert!(lock(&hooks.flights).is_empty());
    drop(cell);
}

#[tokio::test]
async fn questions_the_backend_takes_for_bad_ones_do_not_keep_others_from_it() {
    for (status, opens) in [
        ("404 Not Found", false),
        ("413 Content Too Large", false),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
    ] {
        let hooks = hooks(saying(status).await);
        for user in 0..2 * BREAKER.failures {
            let refused = ask(hooks.clone(), user.to_string()).await.unwrap_err();
            assert_eq!(refused.code, Code::Unavailable, "{status}: never a yes");
        }
        let refused = connect(&hooks).counts.refused.load(Ordering::SeqCst);
        assert_eq!(refused > 0, opens, "{status}");
    }
}

#[tokio::test]
async fn who_had_to_wait_for_a_turn_and_came_too_late_does_not_speak_against_the_backend() {
    for (waits, opens) in [(true, false), (false, true)] {
        let (_answer, may_answer) = watch::channel(false);
        let (url, _) = backend(may_answer).await;
        let hooks = hooks_within(url, 300);
        let line = connect(&hooks);
        let turns = line.turns.acquire_many(IN_FLIGHT as u32).await.unwrap();
        let turns = Some(turns).filter(|_| waits);
        let asked: Vec<_> =
            (0..BREAKER.failures).map(|at| tokio::spawn(ask(hooks.clone(), at.to_string()))).collect();
        while waits && line.waiting.load(Ordering::SeqCst) < BREAKER.failures {
            tokio::task::yield_now().await;
        }
        drop(turns);
        for asked in asked {
            assert!(asked.await.unwrap().is_err());
        }
        assert_eq!(lock(&line.breaker).permit(hooks.now_ms()).is_err(), opens, "waits: {waits}");
    }
}
