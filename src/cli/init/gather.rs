//! Reads the repository and its history.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cli::error::CliError;
use crate::config::load::Config;
use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::cycle::tree::cache::TreeCache;
use crate::manifest::field_rules::{FieldRule, FieldRules};
use crate::manifest::file_kind::is_argo_override;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::progress;
use crate::repo;
use crate::repo::checkout;
use crate::repo::clone::BareClone;
use crate::repo::error::RepoError;
use crate::repo::fetch::Deepened;
use crate::repo::modified_files::ModifiedFile;
use crate::repo::tree::Content;
use crate::survey::field_proposals::{self, FieldProposals};
use crate::survey::file_traits::FileTraits;
use crate::survey::findings::{FieldSummary, Findings, HistorySummary, proved};
use crate::survey::flux::convert::convert;
use crate::survey::flux::object::FluxObject;
use crate::survey::glob::name_of;
use crate::survey::movements::{Change, Movements};
use crate::survey::name_template::NameTemplate;
use crate::survey::policy_proposals;
use crate::survey::proposed_field::ProposedField;
use crate::survey::stage_proposals;
use crate::survey::surroundings::Surroundings;
use crate::survey::tree::{KnownFields, Tree};

/// The text to read.
pub struct Request<'r> {
    /// The configuration of the connection.
    pub config: &'r Config,
    /// The number of commits.
    pub commits: u32,
    /// Objects of Flux that are not in the repository.
    pub flux_objects: Vec<FluxObject>,
}

/// Reads everything, and makes proposals.
pub fn gather(request: Request<'_>) -> Result<Findings, CliError> {
    Ok(read(request).map_err(CycleError::from)?)
}

fn read(request: Request<'_>) -> Result<Findings, RepoError> {
    let Request { config, commits, flux_objects } = request;
    let Some(repo) = &config.repo else { return Ok(Findings::default()) };
    let tip = tip(repo, commits, &config.paths)?;
    let movements = movements(&tip, &config.paths, commits)?;
    let files: BTreeSet<String> = tip.listing()?.keys().filter(|path| config.paths.wants(path)).cloned().collect();
    let traits = traits(&tip, &files)?;
    let before = tip.inventory(&FieldRules::default(), &Prefilter::Everything)?;
    let known = KnownFields::of(&before);
    let name_templates: Vec<NameTemplate> = traits.iter().flat_map(|file| file.name_templates.clone()).collect();
    let read = |path: &str| tip.file(path).ok().flatten();
    let tree = Tree { files: &files, inventory: &before, name_templates: &name_templates, read: &read };
    let (proposals, after) = prove(field_proposals::propose(&movements, &known, &tree), &tip)?;
    let own = traits.iter().flat_map(|file| file.flux_objects.clone());
    let flux = convert(&if flux_objects.is_empty() { own.collect::<Vec<FluxObject>>() } else { flux_objects });
    let mut policies = policy_proposals::propose(&movements, &after);
    let has_flux_policy = |image: &String| flux.policies.iter().any(|policy| policy.images.contains(image));
    policies.policies.retain(|policy| !policy.images.iter().all(has_flux_policy));
    let effective = after.fields.iter().filter(|located| located.shadowed_by.is_none());
    Ok(Findings {
        url: shown_url(repo),
        branch: repo.branch.to_string(),
        history: HistorySummary::of(&movements, &KnownFields::of(&after)),
        fields: FieldSummary::of(&before, &after),
        surroundings: Surroundings::of(&files, &traits),
        rules: proposals.rules,
        unresolved: proposals.unresolved,
        policies,
        stages: stage_proposals::propose(effective.map(|located| (located.file.as_str(), &located.field.repository))),
        flux,
        ..Findings::default()
    })
}

/// Fetches the tip with as many commits as are to be read.
fn tip(repo: &repo::config::Config, commits: u32, paths: &PathFilter) -> Result<Tip, RepoError> {
    let repo = repo::config::Config { depth: commits, history_limit: commits, push_branch: None, ..repo.clone() };
    let mut tip = Tip::fetch(BareClone::open(repo)?, &Arc::new(TreeCache::new(paths.clone())))?;
    while tip.clone.deepen()? == Deepened::More {}
    Ok(tip)
}

/// Reads what moved. Merges do not count: the commits that they merge are read themselves.
fn movements(tip: &Tip, paths: &PathFilter, commits: u32) -> Result<Movements, RepoError> {
    let mut movements = Movements::default();
    let wants = |path: &str| may_hold_values(path) && paths.wants(path);
    for group in tip.clone.history(tip.commit)? {
        for logged in group? {
            movements.count(logged.time);
            progress::report("commits at most", movements.commits, commits as usize);
            if movements.commits > commits as usize {
                return Ok(movements);
            }
            if logged.is_cut || logged.parents.len() != 1 {
                continue;
            }
            let change = Change { author: &logged.author, time: logged.time };
            let mut take = |file: ModifiedFile<'_>| movements.take(change, file.path, file.before, file.after);
            tip.clone.modified_files(logged.id, &wants, &mut take)?;
        }
    }
    Ok(movements)
}

/// Returns whether a file may hold values in the form of YAML: by its extension, or if it has none. Hidden files
/// configure tools.
fn may_hold_values(path: &str) -> bool {
    let name = name_of(path);
    let is_yaml = [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension));
    let is_workflow = path.starts_with(".github/") || path.contains("/.github/");
    let is_plain = !name.contains('.') && !name.chars().all(|c| !c.is_ascii_lowercase());
    let is_of_tools = name.starts_with('.') && !is_argo_override(path);
    !is_workflow && !is_of_tools && (is_yaml || is_plain)
}

fn traits(tip: &Tip, files: &BTreeSet<String>) -> Result<Vec<FileTraits>, RepoError> {
    let listing = tip.listing()?;
    let is_text = |name: &str| [".yaml", ".yml", ".json", ".tpl", ".gotmpl"].iter().any(|end| name.ends_with(end));
    let wanted: Vec<_> =
        files.iter().filter(|file| is_text(file)).filter_map(|file| Some((file, *listing.get(file)?))).collect();
    let ids: Vec<_> = wanted.iter().map(|(_, id)| *id).collect();
    tip.read_blobs(&ids, |index, content| match content {
        Content::Bytes(bytes) => FileTraits::of(wanted[index].0, bytes),
        Content::TooLarge(_) => FileTraits::default(),
    })
}

/// Applies the proposed rules, and keeps those that yield fields.
fn prove(proposals: FieldProposals, tip: &Tip) -> Result<(FieldProposals, Arc<Inventory>), RepoError> {
    let with = |proposals: &FieldProposals| {
        let rule = |rule: &ProposedField| FieldRule::new(&rule.file, &rule.path, rule.image.as_deref()).ok();
        let rules = FieldRules { rules: proposals.rules.iter().filter_map(rule).collect(), ..FieldRules::default() };
        tip.inventory(&rules, &Prefilter::Everything)
    };
    let count = proposals.rules.len();
    let after = with(&proposals)?;
    let proposals = proved(proposals, &KnownFields::of(&after));
    let after = if proposals.rules.len() == count { after } else { with(&proposals)? };
    Ok((proposals, after))
}

/// Returns the URL to write: that of the repository, or for a checkout that of its remote.
fn shown_url(repo: &repo::config::Config) -> Option<String> {
    match repo.url.local_path() {
        Some(path) => checkout::origin(Path::new(path)).map(|url| url.to_string()),
        None => Some(repo.url.to_string()),
    }
}
