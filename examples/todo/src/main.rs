//! A server with one app: `JWT_SECRET=… cargo run -p tidings-example-todo`.

use std::io::Write as _;

use anyhow::Context as _;
use tidings_server::{Config, Extras, Server};
use tidings_store::{Store, StoreOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::default();
    config.auth.jwt_secret = std::env::var("JWT_SECRET").context("JWT_SECRET is the secret of the tokens")?;
    config.listen = std::env::var("LISTEN").unwrap_or(config.listen);
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:todo.db".into());
    let store = Store::open(&url, &StoreOptions::default()).await?;
    let apps = vec![tidings_example_todo::app()];
    let server = Server::start(&config, Extras { store: Some(store), apps, ..Extras::default() }).await?;
    writeln!(std::io::stdout(), "listening on http://{}", server.addr())?;
    tokio::signal::ctrl_c().await?;
    server.drain().await;
    Ok(())
}
