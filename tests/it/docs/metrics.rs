//! `docs/metrics.md` lists exactly the metrics that the code registers. Their types and labels are compared where agents
//! are asked for them ([`prometheus::check`]).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Expr, ExprMethodCall, Lit};

use crate::support::prometheus;

/// Collects the names of the families that are registered.
#[derive(Default)]
struct Registrations(BTreeSet<String>);

impl<'ast> Visit<'ast> for Registrations {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let has_unit = call.method == "register_with_unit";
        if let (true, Some(Expr::Lit(name))) = (has_unit || call.method == "register", call.args.first())
            && let Lit::Str(name) = &name.lit
        {
            let unit = match call.args.get(2) {
                Some(Expr::Path(unit)) if has_unit => unit.path.segments.last().expect("a name").ident.to_string(),
                _ => String::new(),
            };
            let end = if unit.is_empty() { unit } else { format!("_{}", unit.to_lowercase()) };
            self.0.insert(format!("tagalong_{}{end}", name.value()));
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[test]
fn every_metric_is_listed() {
    let mut registered = Registrations::default();
    for entry in walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let path = entry.expect("readable").into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            registered.visit_file(&syn::parse_file(&text).expect("Rust"));
        }
    }
    assert!(registered.0.len() >= 25, "{:?}", registered.0);
    let base = |name: &String| ["_total", "_info"].into_iter().fold(name.clone(), |name, end| name.replace(end, ""));
    let listed: BTreeSet<String> = prometheus::documented().keys().map(base).collect();
    let listed: BTreeSet<String> = listed.into_iter().filter(|name| name.starts_with("tagalong_")).collect();
    assert_eq!(listed, registered.0);
}
