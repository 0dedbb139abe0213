//! The modules form layers: a module imports only from layers below its own, pure modules touch nothing outside, and no
//! two files import each other, directly or in a circle. The layers come from the table in `src/lib.rs`, the imports from
//! the syntax tree of each file without its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// What pure code must not use: runtimes, the network, files, the environment, the clock.
const IMPURE: [&str; 9] = [
    "tokio",
    "reqwest",
    "git2",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// A path of names, from the root of the crate or of another one.
type Names = Vec<String>;

#[test]
fn imports_run_downward() {
    let offences = House::of_crate().offences();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = House::of_crate().circles();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn folder_headers_list_their_files() {
    for (path, text) in House::of_crate().files {
        assert!(text.starts_with("//! "), "{path}: the first line says what it is for");
        let Some(folder) = path.strip_suffix("/mod.rs") else { continue };
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for name in children(folder) {
            assert!(header.contains(&format!("`{name}`")), "{path}: the header does not list {name}");
            assert!(text.contains(&format!("mod {name};")), "{path}: {name} is not part of the crate");
        }
    }
}

/// Commits are made from gated plans alone, so gates cannot be bypassed as long as plans are passed in one place. Files
/// outside git have no registry to verify images with.
#[test]
fn plans_are_passed_only_by_the_list_of_gates() {
    let house = House::of_crate();
    assert_eq!(house.users("plan::gate::pass"), ["cycle/gates/list.rs"]);
    assert_eq!(house.users("plan::gate::pass_unverified"), ["cli/set.rs"]);
}

#[test]
fn users_are_found() {
    let list = ("cycle/gates/list.rs", "use crate::plan::gate::{self, Wanted};\nfn f() { gate::pass() }");
    let users = |text: &str| House::example(&[list, ("cycle/engine.rs", text)]).users("plan::gate::pass").len();
    assert_eq!(users("use crate::plan::gate::{self, judge};\nfn f() { gate::judge() }"), 1);
    assert_eq!(users("use crate::plan::gate;\n#[cfg(test)]\nmod tests { fn f() { gate::pass() } }"), 1);
    assert_eq!(users("fn f() { crate::plan::gate::pass() }"), 2);
    assert_eq!(users("use crate::plan;\nfn f() { plan::gate::pass() }"), 2);
    assert_eq!(users("use crate::plan::gate::pass as through;"), 2);
    assert_eq!(users("use crate::plan::gate::*;"), 2, "everything in it");
}

#[test]
fn offences_are_found() {
    let offences = |path: &str, text: &str| House::example(&[(path, text)]).offences();
    let is_fine = |path: &str, text: &str| offences(path, text).is_empty();
    assert!(!is_fine("plan/decide.rs", "use crate::registry::client::Client;"));
    assert!(!is_fine("plan/decide.rs", "fn f() { crate::repo::push::x() }"));
    assert!(!is_fine("plan/decide.rs", "fn f() { println!(\"{}\", crate::repo::push::x()) }"));
    assert!(!is_fine("yaml/scan.rs", "use crate::{image::Tag, manifest::find};"));
    assert!(!is_fine("yaml/scan.rs", "use super::super::manifest::find;"));
    assert!(!is_fine("yaml/scan.rs", "use crate::policy::rule;"), "not below it, but beside it");
    assert!(!is_fine("policy/rule.rs", "use std::fs;"));
    assert!(!is_fine("policy/rule.rs", "fn f() { let now = std::time::Instant::now(); }"));
    assert!(!is_fine("attic/x.rs", "// nothing"));
    assert!(!is_fine("cli/run.rs", "pub use crate::fault::Fault;"));
    assert!(is_fine("plan/decide.rs", "use crate::{image::Tag, manifest::find, policy::rule};"));
    assert!(is_fine("plan/decide.rs", "// crate::registry is not imported\nconst TEXT: &str = \"crate::registry\";"));
    assert!(is_fine("plan/decide.rs", "use super::skip::Reason;"));
    assert!(is_fine("policy/rule.rs", "#[cfg(test)]\nmod tests { use std::fs; }"));
    assert!(is_fine("cli/run.rs", "use std::fs;"), "not pure");
}

#[test]
fn circles_are_found() {
    let circles = |files: &[(&str, &str)]| House::example(files).circles();
    let there = ("plan/a.rs", "use super::b::B;\nuse crate::plan;\nfn f() { plan::skip::x() }");
    let back = ("plan/b.rs", "fn f() -> crate::plan::c::C {}");
    let around = ("plan/c.rs", "use crate::plan::a;");
    let away = ("plan/c.rs", "#[cfg(test)]\nmod tests { use crate::plan::a; }");
    assert_eq!(circles(&[there, back, around]).len(), 1);
    assert!(circles(&[there, back, around])[0].contains("plan/c.rs -> plan/a.rs"));
    assert!(circles(&[there, back, away]).is_empty());
    let face = ("cli/mod.rs", "mod x;\nuse x::run;\npub struct Shared;");
    assert_eq!(circles(&[face, ("cli/x.rs", "use super::Shared;")]).len(), 1);
    let neighbour = ("cli/x.rs", "use super::y;");
    assert!(circles(&[face, neighbour, ("cli/y.rs", "")]).is_empty(), "another module of the same folder");
}

/// The source files of the crate by their path below `src`, and the layers of its modules.
struct House {
    files: BTreeMap<String, String>,
    layers: BTreeMap<String, usize>,
    pure: BTreeSet<String>,
}

impl House {
    fn of_crate() -> House {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let paths = walkdir::WalkDir::new(&root).into_iter().map(|entry| entry.expect("readable").into_path());
        let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
        let named = sources.map(|path| {
            let name = path.strip_prefix(&root).expect("below src").display().to_string();
            (name, std::fs::read_to_string(&path).expect("text"))
        });
        House::with_files(named.collect())
    }

    fn example(files: &[(&str, &str)]) -> House {
        House::with_files(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Reads the layers from the table of `src/lib.rs`.
    fn with_files(files: BTreeMap<String, String>) -> House {
        let map = include_str!("../src/lib.rs");
        let names = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        let mut layers = BTreeMap::new();
        for row in map.lines().filter_map(|line| line.strip_prefix("//! | ")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let Ok(layer) = cells[0].parse::<usize>() else { continue };
            layers.extend(names(cells[1]).into_iter().map(|module| (module, layer)));
        }
        let pure = map.lines().filter(|line| line.starts_with("//! Pure: ")).flat_map(names).collect();
        House { files, layers, pure }
    }

    fn offences(&self) -> Vec<String> {
        let mut offences = Vec::new();
        for (path, text) in self.files.iter().filter(|(path, _)| !matches!(path.as_str(), "lib.rs" | "main.rs")) {
            let module = module_of(path)[0].clone();
            let Some(own) = self.layers.get(&module) else {
                offences.push(format!("{path}: {module} is not in the table of src/lib.rs"));
                continue;
            };
            let imports = Imports::of(path, text);
            if imports.re_exports {
                offences.push(format!("{path}: re-exports hide who depends on whom"));
            }
            for names in &imports.own {
                match self.layers.get(&names[0]) {
                    _ if names[0] == module => {}
                    Some(_) if self.pure.contains(&module) && !self.pure.contains(&names[0]) => {
                        offences.push(format!("{path}: {module} is pure and imports {}", names.join("::")));
                    }
                    Some(layer) if layer < own => {}
                    _ => offences.push(format!("{path}: {module} imports {}, which is not below it", names.join("::"))),
                }
            }
            for names in imports.foreign.iter().filter(|_| self.pure.contains(&module)) {
                let text = names.join("::");
                let touches = |impure: &&&str| text == **impure || text.starts_with(&format!("{impure}::"));
                let impure = IMPURE.iter().find(touches);
                offences.extend(impure.map(|_| format!("{path}: pure code uses {text}")));
            }
        }
        offences
    }

    /// Returns the files that refer to an item of another one, by its path from the root of the crate.
    fn users(&self, item: &str) -> Vec<&str> {
        let item: Names = item.split("::").map(str::to_owned).collect();
        let parent = &item[..item.len() - 1];
        let uses = |(path, text): &(&String, &String)| {
            let imports = Imports::of(path, text);
            imports.own.contains(&item) || imports.globs.iter().any(|glob| glob == parent)
        };
        self.files.iter().filter(uses).map(|(path, _)| path.as_str()).collect()
    }

    /// The circles of files, each with the imports that tie it.
    fn circles(&self) -> Vec<String> {
        let by_module: BTreeMap<Names, &String> = self.files.keys().map(|path| (module_of(path), path)).collect();
        let file_of = |names: &Names| (1..=names.len()).rev().find_map(|end| by_module.get(&names[..end]).copied());
        let mut edges: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (path, text) in &self.files {
            let imports = Imports::of(path, text);
            let imported = imports.own.iter().filter_map(file_of).filter(|other| *other != path);
            edges.insert(path, imported.collect());
        }
        let reach: BTreeMap<&String, BTreeSet<&String>> =
            edges.keys().map(|path| (*path, reachable(path, &edges))).collect();
        let mut circles: BTreeSet<BTreeSet<&String>> = BTreeSet::new();
        for (path, reached) in reach.iter().filter(|(path, reached)| reached.contains(*path)) {
            circles.insert(reached.iter().copied().filter(|other| reach[other].contains(*path)).collect());
        }
        let describe = |circle: &BTreeSet<&String>| {
            let ties = circle.iter().flat_map(|from| edges[from].intersection(circle).map(move |to| (from, to)));
            ties.map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join("\n")
        };
        circles.iter().map(|circle| format!("a circle:\n{}", describe(circle))).collect()
    }
}

/// The files that can be reached from a file through imports.
fn reachable<'f>(from: &'f String, edges: &BTreeMap<&'f String, BTreeSet<&'f String>>) -> BTreeSet<&'f String> {
    let (mut open, mut reached) = (vec![from], BTreeSet::new());
    while let Some(path) = open.pop() {
        open.extend(edges[path].iter().filter(|other| reached.insert(**other)));
    }
    reached
}

/// The module that a file is.
fn module_of(path: &str) -> Names {
    let stem = path.trim_end_matches(".rs");
    let mut names: Names = stem.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") {
        names.pop();
    }
    names
}

/// The modules in a folder of `src`.
fn children(folder: &str) -> BTreeSet<String> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let stems = entries.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    stems.filter(|stem| stem != "mod").collect()
}

/// The names in a file that refer to other modules, of this crate and of others.
#[derive(Default)]
struct Imports {
    module: Names,
    /// The names that `use` brought into scope, and child modules, each with its path from the root of the crate.
    aliases: BTreeMap<String, Names>,
    own: BTreeSet<Names>,
    /// The modules of this crate from which everything is imported.
    globs: BTreeSet<Names>,
    foreign: BTreeSet<Names>,
    re_exports: bool,
}

impl Imports {
    fn of(path: &str, text: &str) -> Imports {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut imports = Imports { module: module_of(path), ..Imports::default() };
        for item in &file.items {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                let child = [imports.module.clone(), vec![ident.to_string()]].concat();
                imports.aliases.insert(ident.to_string(), child);
            }
        }
        // Aliases first, because they may be below their uses.
        file.items.iter().for_each(|item| {
            if let Item::Use(item) = item {
                imports.visit_item_use(item);
            }
        });
        imports.visit_file(&file);
        imports
    }

    /// Notes a path. Returns it from the root of the crate, if it is of this crate.
    fn note(&mut self, names: &[String]) -> Option<Names> {
        let absolute = match names[0].as_str() {
            "crate" => Some(names[1..].to_vec()),
            "self" => Some([self.module.clone(), names[1..].to_vec()].concat()),
            "super" => {
                let ups = names.iter().take_while(|name| *name == "super").count();
                let above = &self.module[..self.module.len().saturating_sub(ups)];
                Some([above.to_vec(), names[ups..].to_vec()].concat())
            }
            first => self.aliases.get(first).map(|alias| [alias.clone(), names[1..].to_vec()].concat()),
        };
        let Some(absolute) = absolute else {
            self.foreign.insert(names.to_vec());
            return None;
        };
        if !absolute.is_empty() {
            self.own.insert(absolute.clone());
        }
        Some(absolute)
    }

    fn note_tree(&mut self, before: &mut Names, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_tree(before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(before, tree)),
            UseTree::Glob(_) => {
                let module = self.note(before);
                self.globs.extend(module);
            }
            UseTree::Name(name) => self.note_name(before, &name.ident.to_string(), &name.ident.to_string()),
            UseTree::Rename(rename) => {
                self.note_name(before, &rename.ident.to_string(), &rename.rename.to_string());
            }
        }
    }

    fn note_name(&mut self, before: &[String], name: &str, alias: &str) {
        let full = if name == "self" { before.to_vec() } else { [before.to_vec(), vec![name.to_owned()]].concat() };
        let alias = if alias == "self" { full.last().cloned().unwrap_or_default() } else { alias.to_owned() };
        if let Some(absolute) = self.note(&full) {
            self.aliases.insert(alias, absolute);
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if is_test(&item.attrs) {
            return;
        }
        self.re_exports |= !matches!(item.vis, Visibility::Inherited);
        self.note_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // Arguments of macros are only tokens in the syntax tree.
        let text = item.tokens.to_string().replace(' ', "");
        for (at, _) in text.match_indices("crate::") {
            let path: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            self.note(&path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect::<Names>());
        }
        visit::visit_macro(self, item);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    };
    attributes.iter().any(is_test)
}
