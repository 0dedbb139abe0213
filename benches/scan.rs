//! The cost of a large repository: reading it with a cold and a warm cache, editing fields, and one update from tip to
//! commit.
//!
//! `cargo bench --bench scan`. Compare only figures of the same run: machines differ, and so does one machine from
//! minute to minute.

#![expect(clippy::print_stdout, reason = "a benchmark reports to a person")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use parking_lot::Mutex;
use tagalong::cycle::tree::cache::TreeCache;
use tagalong::image::{Reference, Version};
use tagalong::manifest::edit::{FollowRefs, Move, edit};
use tagalong::manifest::field_rules::FieldRules;
use tagalong::manifest::find;
use tagalong::manifest::paths::PathFilter;
use tagalong::manifest::prefilter::{Need, Prefilter, words};
use tagalong::plan::decide;
use tagalong::plan::gate;
use tagalong::plan::message::Purpose;
use tagalong::plan::template::Template;
use tagalong::repo::clone::{BareClone, CommitId};
use tagalong::repo::tree::{BlobId, Content, EntryKind};

/// A clone of the large repository, and its tip.
static CLONE: LazyLock<Mutex<(BareClone, CommitId, tempfile::TempDir)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let config = support::repository(folder.path(), &support::files());
    let (clone, tip) = BareClone::open(config).and_then(BareClone::fetch).expect("a clone");
    Mutex::new((clone, tip, folder))
});

fn main() {
    let files = support::files();
    let bytes: usize = files.values().map(String::len).sum();
    let prefilter = of_interest();
    let search = prefilter.search();
    let needs = |need: Need| {
        let of = |(path, text): &(&String, &String)| search.need(path, text.as_bytes(), &FieldRules::default()) == need;
        files.iter().filter(of).count()
    };
    let (whole, references) = (needs(Need::Whole), needs(Need::FileReferences));
    println!(
        "{} files, {:.1} MB of YAML; {whole} are parsed, and of {references} kustomizations what references them to other files",
        files.len(),
        bytes as f64 / 1e6
    );
    divan::main();
}

fn with_clone<T>(work: impl FnOnce(&BareClone, CommitId) -> T) -> T {
    let clone = CLONE.lock();
    work(&clone.0, clone.1)
}

fn of_interest() -> Prefilter {
    Prefilter::from_words([words(support::IMAGES)].into_iter(), false)
}

/// Everything, as `tagalong images` reads it.
fn all() -> Prefilter {
    Prefilter::Everything
}

/// The tip of a new clone: trees walked, blobs decompressed, relevant ones parsed.
#[divan::bench(args = ["of interest", "everything"], sample_count = 5, sample_size = 1)]
fn cold(bencher: Bencher<'_, '_>, what: &str) {
    let prefilter = if what == "everything" { all() } else { of_interest() };
    let bytes: usize = support::files().values().map(String::len).sum();
    with_clone(|clone, tip| {
        bencher.counter(BytesCount::new(bytes)).bench_local(|| {
            let cache = TreeCache::new(PathFilter::default());
            let inventory = cache.inventory(clone, tip, &FieldRules::default(), &prefilter).expect("read");
            // The results are kept, because dropping them is not part of reading.
            (cache, inventory)
        });
    });
}

fn size(content: Content<'_>) -> usize {
    match content {
        Content::Bytes(bytes) => bytes.len(),
        Content::TooLarge(_) => 0,
    }
}

/// The part of that for decompressing all blobs.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn inflate(bencher: Bencher<'_, '_>) {
    with_clone(|clone, tip| {
        let blobs = blobs(clone, tip);
        let bytes: usize = clone.read_blobs(&blobs, |_, content| size(content)).expect("read").into_iter().sum();
        bencher
            .counter(BytesCount::new(bytes))
            .bench_local(|| clone.read_blobs(&blobs, |_, content| size(content)).expect("read"));
    });
}

/// The part of that for walking all trees.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn walk(bencher: Bencher<'_, '_>) {
    with_clone(|clone, tip| bencher.bench_local(|| blobs(clone, tip)));
}

fn blobs(clone: &BareClone, tip: CommitId) -> Vec<BlobId> {
    let (mut open, mut blobs) = (vec![clone.root(tip).expect("a tree")], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in clone.folder(folder).expect("a tree") {
            match entry.kind {
                EntryKind::Folder(id) => open.push(id),
                EntryKind::File(blob) => blobs.push(blob),
                EntryKind::Link(_) | EntryKind::Other => {}
            }
        }
    }
    blobs
}

/// A tip that differs from the previous one in a single file.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn warm(bencher: Bencher<'_, '_>) {
    let (cache, prefilter) = (TreeCache::new(PathFilter::default()), of_interest());
    with_clone(|clone, tip| {
        let wanted = [support::bump("fedcba9")];
        let other = commit(clone, tip, &cache, &wanted, &prefilter);
        let tips = [tip, other];
        let mut turn = 0;
        bencher.bench_local(|| {
            turn += 1;
            cache.inventory(clone, tips[turn % 2], &FieldRules::default(), &prefilter).expect("read")
        });
    });
}

/// The same tip again.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn unchanged(bencher: Bencher<'_, '_>) {
    let (cache, prefilter) = (TreeCache::new(PathFilter::default()), of_interest());
    with_clone(|clone, tip| {
        let look = || cache.inventory(clone, tip, &FieldRules::default(), &prefilter);
        look().expect("read");
        bencher.bench_local(|| look().expect("read"));
    });
}

/// A fetched tip that differs from the previous one in a single file: read, plan, edit, verify, write the commit.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn bump_to_commit(bencher: Bencher<'_, '_>) {
    let cache = TreeCache::new(PathFilter::default());
    let prefilter = of_interest();
    with_clone(|clone, tip| {
        let mut tip = commit(clone, tip, &cache, &[support::bump("fedcba9")], &prefilter);
        let mut turn = 0;
        bencher.bench_local(|| {
            turn += 1;
            tip = commit(clone, tip, &cache, &[support::bump(&format!("{turn:07x}"))], &prefilter);
        });
    });
}

/// The same without any cache, like a CI job.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn bump_to_commit_cold(bencher: Bencher<'_, '_>) {
    let wanted = [support::bump("fedcba9")];
    let prefilter = Prefilter::from_images(wanted.iter().map(|wanted| &wanted.repository));
    with_clone(|clone, tip| {
        bencher.bench_local(|| commit(clone, tip, &TreeCache::new(PathFilter::default()), &wanted, &prefilter));
    });
}

fn commit(
    clone: &BareClone,
    tip: CommitId,
    cache: &TreeCache,
    wanted: &[Reference],
    prefilter: &Prefilter,
) -> CommitId {
    let (paths, field_rules) = (PathFilter::default(), FieldRules::default());
    let inventory = cache.inventory(clone, tip, &field_rules, prefilter).expect("read");
    let asked = decide::as_requested(&inventory, wanted, &paths).expect("found");
    let gated = gate::pass_unverified(&asked.plan.updates);
    let mut changes = BTreeMap::new();
    for file in gated.files() {
        let before = clone.file(tip, file).expect("read").expect("there");
        let after = gated.edited(file, &before, FollowRefs::Yes, &field_rules, None).expect("edited");
        changes.insert(file.to_owned(), after);
    }
    clone
        .commit(tip, &changes, &Template::default().message(gated.updates(), &Purpose::default(), &tip.to_string()))
        .expect("a commit")
}

/// One file with this many fields, all of which move.
#[divan::bench(args = [1, 1_000])]
fn edit_fields(bencher: Bencher<'_, '_>, fields: usize) {
    let text: String = (0..fields).map(|n| format!("- name: app-{n}\n  image: acme/app:v1  # by CI\n")).collect();
    let facts = find::read("a.yaml", text.as_bytes(), &FieldRules::default()).expect("valid YAML");
    assert_eq!(facts.fields.len(), fields);
    let to = Version::parse_tag("v2").expect("a version");
    let moves: Vec<Move<'_>> = facts.fields.iter().map(|field| Move { field, to: &to }).collect();
    bencher.counter(BytesCount::new(text.len())).bench(|| {
        edit("a.yaml", black_box(text.as_bytes()), &moves, FollowRefs::Yes, &FieldRules::default()).expect("edited")
    });
}

/// One file that is nearly as large as files may be, on many lines and on a single one.
#[divan::bench(args = ["lines", "one line"], sample_count = 3, sample_size = 1)]
fn large_file(bencher: Bencher<'_, '_>, form: &str) {
    let words = "some more of it ".repeat(8);
    let item = |n: usize| {
        let (key, value) =
            if n.is_multiple_of(6) { ("image", format!("acme/app:v{n}")) } else { ("other", format!("value {n}")) };
        match form {
            "lines" => format!("- name: \"item {n}\"\n  text: {words}\n  {key}: {value}\n"),
            _ => format!("{{\"name\": \"item {n}\", \"text\": \"{words}\", \"{key}\": \"{value}\"}}, "),
        }
    };
    let items: String = (0..45_000).map(item).collect();
    let text = if form == "lines" { items } else { format!("[{items}{{}}]\n") };
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| find::read("a.yaml", black_box(text.as_bytes()), &FieldRules::default()).expect("valid YAML"));
}
