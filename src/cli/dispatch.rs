//! From the command line to an exit code.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::CommandFactory;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::cycle::error::CycleError;
use crate::fault::Fault;
use crate::repo::watchdog;
use crate::telemetry::install::install;

use super::command_line::{Cli, Command, Entry};
use super::error::{self, CliError};
use super::progress::{self, AboveBar};
use super::{
    acknowledge, approve, audit, check, completion, demo, disapprove, explain, help, history, hold, images, init, man,
    plugin_settings, promote, resume, rollback, run, secrets, set, stages, status, sync, terminal, trust, windows,
};

/// Runs a command and returns its exit code.
pub fn main(cli: Cli) -> ExitCode {
    error::install_panic_hook();
    // The hook has reported the panic, and no state is used afterwards.
    match std::panic::catch_unwind(AssertUnwindSafe(|| start(cli))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => error::report(&error),
        Err(_) => ExitCode::from(Fault::Bug.exit_code()),
    }
}

fn start(cli: Cli) -> Result<ExitCode, CliError> {
    let global = cli.global;
    global.color.apply();
    terminal::set_quiet(global.quiet);
    let command = match cli.entry {
        Entry::Command(command) => *command,
        Entry::Completion(arguments) => return completion::run(&arguments, Cli::command()),
        Entry::Man(arguments) => return man::run(&arguments, Cli::command()),
        Entry::Help(arguments) => return help::command::run(&arguments, Cli::command()),
        Entry::Plugin(_) => {
            let prepared = plugin_settings::prepare(std::env::vars_os())?;
            // The files that the command line refers to exist until the command has ended.
            return start(prepared.cli);
        }
    };
    let default = match command {
        Command::Run(_) => "info",
        _ => "warn",
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    // The agent shows what it does in its log.
    let listener = if matches!(command, Command::Run(_)) { None } else { progress::layer() };
    let writer = BoxMakeWriter::new(|| AboveBar);
    let traces = install(global.log_format, global.directives(default), writer, listener, runtime.handle())?;
    let ended = run_in_thread(command, runtime.handle().clone())?;
    let end = runtime.block_on(async {
        tokio::select! {
            ended = ended => ended.unwrap_or_else(|_| Ok(ExitCode::from(Fault::Bug.exit_code()))),
            hang = watchdog::hang() => Err(CycleError::from(hang).into()),
        }
    });
    progress::end();
    traces.end();
    // An aborted cycle may still be waiting for a server that never responds; the process does not wait for it.
    runtime.shutdown_background();
    end
}

/// Runs a command in a thread of its own, because git may not return from a call in it. If it panics, which is reported by
/// the hook, it sends nothing.
fn run_in_thread(command: Command, runtime: Handle) -> Result<Receiver<Result<ExitCode, CliError>>, CliError> {
    let (end, ended) = oneshot::channel();
    let work = move || {
        // Nobody waits any more if git hangs in another thread.
        let _ = end.send(runtime.block_on(run_command(command)));
    };
    std::thread::Builder::new()
        .name("command".to_owned())
        .stack_size(STACK_SIZE)
        .spawn(work)
        .map_err(CliError::Runtime)?;
    Ok(ended)
}

/// The size of a main thread's stack on Linux.
const STACK_SIZE: usize = 8 << 20;

async fn run_command(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Sync(arguments) => sync::run(arguments).await,
        Command::Set(arguments) => set::run(arguments).await,
        Command::Images(arguments) => images::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Rollback(arguments) => rollback::run(arguments).await,
        Command::Hold(arguments) => hold::run(arguments).await,
        Command::Resume(arguments) => resume::run(arguments).await,
        Command::Approve(arguments) => approve::run(arguments).await,
        Command::Disapprove(arguments) => disapprove::run(arguments).await,
        Command::Acknowledge(arguments) => acknowledge::run(arguments).await,
        Command::Windows(arguments) => windows::run(arguments).await,
        Command::Secrets(arguments) => secrets::run(arguments).await,
        Command::Trust(arguments) => trust::run(arguments).await,
        Command::Stages(arguments) => stages::run(arguments).await,
        Command::Promote(arguments) => promote::run(arguments).await,
        Command::History(arguments) => history::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Check(arguments) => check::run(arguments).await,
        Command::Init(arguments) => init::command::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    }
}
