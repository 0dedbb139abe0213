//! The cost of verifying a thousand SOPS files, with a cold and a warm cache, compared with the real sops at one
//! process per file.
//!
//! `cargo bench --bench secrets`. Compare only figures of the same run: machines differ, and so does one machine from
//! minute to minute.

#![expect(clippy::print_stdout, reason = "a benchmark reports to a person")]

#[path = "../tests/it/support/sops.rs"]
#[allow(dead_code, reason = "this uses a part of it")]
mod sops;
#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use divan::Bencher;
use divan::counter::ItemsCount;
use getrandom::SysRng;
use parking_lot::Mutex;
use rand_core::UnwrapErr;
use tagalong::cycle::secrets::verify::{PullSecrets, Secrets, Strictness};
use tagalong::cycle::tip::Tip;
use tagalong::cycle::tree::cache::TreeCache;
use tagalong::keys::KeySources;
use tagalong::manifest::paths::PathFilter;
use tagalong::repo::clone::BareClone;
use tagalong::sops::audit::FileStatus;
use tagalong::sops::encrypt::{Recipe, encrypt};
use tagalong::sops::format::Format;
use tagalong::sops::recipients::Recipients;
use tagalong::sops::selection::Selection;

use sops::Sops;

/// The number of files to verify.
const FILES: usize = 1_000;

/// The number of them that sops decrypts.
const BY_SOPS: usize = 50;

struct Stage {
    sops: Sops,
    files: BTreeMap<String, String>,
    tip: Tip,
    _folder: tempfile::TempDir,
}

/// A clone of a repository with all files, and a key that decrypts them.
static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| {
    let sops = Sops::new();
    let recipe = Recipe {
        recipients: Recipients { groups: vec![vec![sops.recipient.clone()]], threshold: None },
        selection: Selection::of_secrets(),
        mac_only_encrypted: false,
    };
    let file = |n: usize| {
        let values: String =
            (0..8).map(|i| format!("  VALUE_{i}: value {i} of secret {n}, as long as most are\n")).collect();
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret-{n}\nstringData:\n{values}");
        let time = "2026-11-21T08:00:00Z";
        let bytes = encrypt(text.as_bytes(), Format::Yaml, &recipe, time, &mut UnwrapErr(SysRng)).expect("encrypted");
        (format!("apps/app-{n:04}/secret.yaml"), String::from_utf8(bytes).expect("text"))
    };
    let files: BTreeMap<String, String> = (0..FILES).map(file).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let config = support::repository(folder.path(), &files);
    let trees = Arc::new(TreeCache::new(PathFilter::default()));
    let tip = BareClone::open(config).and_then(|clone| Tip::fetch(clone, &trees)).expect("a clone");
    Mutex::new(Stage { sops, files, tip, _folder: folder })
});

fn on_stage<T>(work: impl FnOnce(&Stage) -> T) -> T {
    work(&STAGE.lock())
}

impl Stage {
    /// A verifier with an empty cache.
    fn judge(&self) -> Secrets {
        let environment = |name: &str| (name == "SOPS_AGE_KEY").then(|| self.sops.identity.clone());
        Secrets::new(KeySources::new(&environment, &[]), Strictness::Block, PullSecrets::Check)
    }

    fn verify(&self, judge: &Secrets) {
        let verdicts = judge.verify(&self.tip, &|_, _| ()).expect("judged");
        assert!(verdicts.len() == FILES && verdicts.iter().all(|verdict| verdict.status == FileStatus::Ok));
    }

    fn by_sops(&self) {
        for text in self.files.values().take(BY_SOPS) {
            self.sops.decrypt("secret.yaml", text, &[]).expect("decrypted");
        }
    }
}

fn main() {
    on_stage(|stage| {
        let rate = |files: usize, work: &dyn Fn()| {
            let start = Instant::now();
            work();
            files as f64 / start.elapsed().as_secs_f64()
        };
        let (here, there) = (rate(FILES, &|| stage.verify(&stage.judge())), rate(BY_SOPS, &|| stage.by_sops()));
        println!(
            "{here:.0} files/s cold, {there:.1} files/s by sops, one process a file: {:.0} times as many",
            here / there
        );
    });
    divan::main();
}

/// All files, with an empty cache.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn cold(bencher: Bencher<'_, '_>) {
    on_stage(|stage| bencher.counter(ItemsCount::new(FILES)).bench_local(|| stage.verify(&stage.judge())));
}

/// All files again, as in the next cycle.
#[divan::bench(sample_count = 10, sample_size = 10)]
fn warm(bencher: Bencher<'_, '_>) {
    on_stage(|stage| {
        let judge = stage.judge();
        stage.verify(&judge);
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| stage.verify(&judge));
    });
}

/// Some of them by sops, one process after the other.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn by_sops(bencher: Bencher<'_, '_>) {
    on_stage(|stage| bencher.counter(ItemsCount::new(BY_SOPS)).bench_local(|| stage.by_sops()));
}
