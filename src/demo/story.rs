//! The steps of the demo.

use crate::cycle::report::Report;

use super::error::DemoError;
use super::infrastructure::{self, TAGS, THREE_APPS};
use super::sandbox::{Contents, Sandbox};
use super::screen::Screen;

/// Plays the demo. With `keep`, its temporary folder stays.
///
/// # Errors
/// A step fails, or cannot be printed.
pub async fn play<E: From<DemoError>>(keep: bool, screen: &Screen<'_, E>) -> Result<(), E> {
    let sandbox = Sandbox::create(Contents { files: &THREE_APPS, configuration: "" }).await.map_err(E::from)?;
    introduce(&sandbox, screen)?;
    deploy(&sandbox, screen).await?;
    rest(&sandbox, screen).await?;
    race(&sandbox, screen).await?;
    screen.heading("What to try next")?;
    (screen.print)(NEXT_STEPS)?;
    if keep {
        (screen.print)(&format!("\nThe repository is kept in {}.\n", sandbox.keep().display()))?;
    }
    Ok(())
}

fn introduce<E: From<DemoError>>(sandbox: &Sandbox, screen: &Screen<'_, E>) -> Result<(), E> {
    let host = sandbox.registry.host();
    screen.heading("1. A registry and an infrastructure repository")?;
    (screen.print)(&format!(
        "The registry listens on {host}, and the repository is {}.\nThree apps run build {}: one is deployed by a \
         kustomization, one by a Deployment, one by Helm values.\nOne policy governs the images {host}/acme/*: deploy the \
         SHA tag that was built last.\n",
        sandbox.repository().display(),
        TAGS[0]
    ))
}

async fn deploy<E: From<DemoError>>(sandbox: &Sandbox, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("2. CI pushes a new build, and the agent's next cycle deploys it")?;
    sandbox.push_builds(1);
    (screen.print)(&format!(
        "CI pushed {} for all three apps. Alphabetically it comes before {}, but it was built later, which is what \
         counts.\n\n",
        TAGS[1], TAGS[0]
    ))?;
    let report = sandbox.cycle().await.map_err(E::from)?;
    (screen.diff)(&report.changes)?;
    (screen.print)(&format!(
        "\nThe cycle pushed a single commit, {}. Comments, quotes and whitespace are untouched.\n",
        committed(&report)?
    ))
}

async fn rest<E: From<DemoError>>(sandbox: &Sandbox, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("3. Nothing new, nothing to do")?;
    let before = sandbox.registry.requests();
    let report = sandbox.cycle().await.map_err(E::from)?;
    if report.commit.is_some() {
        return Err(DemoError::Unexpected("it pushed although nothing was new".to_owned()).into());
    }
    let requests = sandbox.registry.requests() - before;
    (screen.print)(&format!("The next cycle sends {requests} requests to the registry, and pushes nothing.\n"))
}

async fn race<E: From<DemoError>>(sandbox: &Sandbox, screen: &Screen<'_, E>) -> Result<(), E> {
    screen.heading("4. Somebody else pushes first")?;
    sandbox.push_builds(2);
    let path = sandbox.repository();
    sandbox.registry.before_next_digest(move || {
        // This fails only if the repository is gone, and then the cycle reports it.
        let _ = infrastructure::commit_by_a_person(&path, "README.md", "# Our infrastructure\n", "Write a README\n");
    });
    let report = sandbox.cycle().await.map_err(E::from)?;
    if report.attempts != 2 {
        return Err(DemoError::Unexpected(format!("it pushed {} times instead of twice", report.attempts)).into());
    }
    (screen.diff)(&report.changes)?;
    (screen.print)(&format!(
        "\nAda pushed a README while the cycle was running, so its first push lost the race. It planned again on top of \
         her commit,\nand won at attempt {}. Nothing was merged, and nothing was lost:\n\n",
        report.attempts
    ))?;
    let history = infrastructure::history(&sandbox.repository()).map_err(|error| E::from(error.into()))?;
    (screen.print)(&format!("{}\n", history.join("\n")))
}

fn committed<E: From<DemoError>>(report: &Report) -> Result<String, E> {
    let commit = report.commit.as_ref().ok_or_else(|| DemoError::Unexpected("it pushed nothing".to_owned()))?;
    Ok(commit.to_string().chars().take(7).collect())
}

const NEXT_STEPS: &str = "  \
  tagalong images --dir PATH                   list the image fields of your own repository
  tagalong set NAME:TAG --dir PATH --dry-run   see what an update would change in it
  tagalong sync --config FILE --dry-run        see what the agent would do
  tagalong run --config FILE                   run the agent
";
