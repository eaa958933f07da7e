//! The binary: command line, configuration, logging.

mod commands;
mod config;
mod output;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted realtime server: Socket.IO and plain JSON over WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, max_term_width = 110)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(serve::ServeLine),
    /// Prints the configuration in effect, with what each setting means and where it came from.
    Config(commands::ConfigLine),
}

fn main() -> ExitCode {
    let done = match Line::parse().command {
        Command::Serve(line) => serve::run(line),
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
