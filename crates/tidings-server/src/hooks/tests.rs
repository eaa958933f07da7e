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
    let config = HooksConfig {
        connect: url,
        secret: "a hook secret of the server's own tests".into(),
        allow_private: true,
        timeout_ms: 5_000,
        ..HooksConfig::default()
    };
    Arc::new(Hooks::new(&config).unwrap().unwrap())
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
    assert_eq!(hooks.waiting.load(Ordering::SeqCst), 0);
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
