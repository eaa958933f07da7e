//! The binary: command line, configuration, logging.

mod apps;
mod audit;
mod bench;
mod changes;
mod client;
mod commands;
mod config;
mod demo;
mod host;
mod output;
mod people;
mod records;
mod reload;
mod serve;
mod token;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted realtime server: Socket.IO and plain JSON over WebSocket.
///
/// Without a command it serves, with the configuration in effect.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, max_term_width = 110)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(serve::ServeLine),
    /// Prints a token signed with the local server's secret.
    Token(token::TokenLine),
    /// Says what became of a message: on the server, or for a user.
    Explain(client::explain::ExplainLine),
    /// Publishes one event.
    Publish(client::publish::PublishLine),
    /// Follows rooms in the terminal; comes back by itself when the connection or the server is gone.
    Watch(client::watch::WatchLine),
    /// Measures a server on this machine.
    Bench(bench::BenchLine),
    /// Accounts: adds, lists, disables them, sets roles and passwords, lists connections.
    User(people::UserLine),
    /// API keys: adds, lists and revokes them.
    Key(people::KeyLine),
    /// Prints the audit log, one line of JSON for each entry.
    Audit(audit::AuditLine),
    /// Checks what is stored, and says the first thing that is wrong with it.
    Verify(verify::VerifyLine),
    /// Prints the HTTP API, as OpenAPI 3.1.
    Openapi(apps::DescribeLine),
    /// Prints what is said on sockets, as AsyncAPI 3.0.
    Asyncapi(apps::DescribeLine),
    /// Prints the types of commands and events, for TypeScript.
    Types(apps::DescribeLine),
    /// Prints the configuration in effect, with what each setting means and where it came from.
    Config(commands::ConfigLine),
}

fn main() -> ExitCode {
    let command = Line::parse().command.unwrap_or_else(|| Command::Serve(serve::ServeLine::default()));
    let done = match command {
        Command::Serve(line) => serve::run(line),
        Command::Token(line) => token::run(line),
        Command::Explain(line) => client::explain::run(line),
        Command::Publish(line) => client::publish::run(line),
        Command::Watch(line) => client::watch::run(line),
        Command::Bench(line) => bench::run(line),
        Command::User(line) => people::run(line),
        Command::Key(line) => people::run_key(line),
        Command::Audit(line) => audit::run(line),
        Command::Verify(line) => verify::run(line),
        Command::Openapi(line) => apps::print_openapi(line),
        Command::Asyncapi(line) => apps::print_asyncapi(line),
        Command::Types(line) => apps::print_types(line),
        Command::Config(line) => commands::config(line),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as in `tidings config | head`.
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(if error.is::<config::Misconfigured>() { 2 } else { 1 })
        }
    }
}
