//! Lists of all variants of an enum are complete. The compiler does not notice a forgotten one, which would have no
//! series in the metrics, no row in a table, no icon on the page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Expr, Fields, File, ImplItem, Item, ItemImpl, LitStr, Type};

/// The string literals in a piece of code.
#[derive(Default)]
struct Literals(BTreeSet<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.0.insert(literal.value());
    }
}

/// The names of an enum's variants, if none of them has fields.
fn variants(file: &File, name: &str) -> Option<Vec<String>> {
    file.items.iter().find_map(|item| match item {
        Item::Enum(found)
            if found.ident == name && found.variants.iter().all(|one| matches!(one.fields, Fields::Unit)) =>
        {
            Some(found.variants.iter().map(|variant| variant.ident.to_string()).collect())
        }
        _ => None,
    })
}

/// The names of the listed variants.
fn listed(list: &Expr) -> Vec<String> {
    let Expr::Array(array) = list else { return Vec::new() };
    let name = |element: &Expr| match element {
        Expr::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    };
    array.elems.iter().filter_map(name).collect()
}

/// The literals of the constant `LABELS` and of the method `label`.
fn labels(item: &ItemImpl) -> (Literals, Literals) {
    let (mut list, mut method) = (Literals::default(), Literals::default());
    for item in &item.items {
        match item {
            ImplItem::Const(constant) if constant.ident == "LABELS" => list.visit_expr(&constant.expr),
            ImplItem::Fn(function) if function.sig.ident == "label" => visit::visit_block(&mut method, &function.block),
            _ => {}
        }
    }
    (list, method)
}

#[test]
fn lists_of_all_variants_and_of_all_labels_are_complete() {
    let (mut lists, mut labelled) = (0, 0);
    for entry in walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let path = entry.expect("readable").into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let file = syn::parse_file(&fs::read_to_string(&path).expect("text")).expect("Rust");
        for item in &file.items {
            let Item::Impl(item) = item else { continue };
            let (list, method) = labels(item);
            if !list.0.is_empty() {
                labelled += 1;
                assert_eq!(list.0, method.0, "LABELS in {}", path.display());
            }
            let Type::Path(name) = &*item.self_ty else { continue };
            let name = name.path.segments.last().expect("a name").ident.to_string();
            let Some(variants) = variants(&file, &name) else { continue };
            for constant in &item.items {
                if let ImplItem::Const(constant) = constant
                    && constant.ident == "ALL"
                {
                    lists += 1;
                    let (all, listed): (BTreeSet<String>, BTreeSet<String>) =
                        (variants.iter().cloned().collect(), listed(&constant.expr).into_iter().collect());
                    assert_eq!(listed, all, "{name}::ALL in {}", path.display());
                }
            }
        }
    }
    assert!(lists >= 6 && labelled == 2, "{lists} lists and {labelled} of labels");
}
