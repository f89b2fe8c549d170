//! Which file imports which, and the circles among them. A parent and its child may know each other: they are one thing in
//! two files.

use std::collections::{BTreeMap, BTreeSet};

/// Modules by their path (`node::look::find`), and which others each names.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What each file imports, itself, its parents and its children left out. `files` are paths below `src` and code.
pub(crate) fn arrows(files: &[(String, String)]) -> Arrows {
    let module = |name: &str| name.trim_end_matches(".rs").replace('/', "::");
    let known: BTreeSet<String> = files.iter().map(|(name, _)| module(name)).collect();
    let of = |(name, code): &(String, String)| {
        let own = module(name);
        let named = paths(code).into_iter().filter_map(|path| target(&own, &path, &known));
        let others = named.filter(|other| !related(&own, other)).collect();
        (own, others)
    };
    files.iter().map(of).collect()
}

/// Every group of files that reach each other.
pub(crate) fn circles(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = arrows.keys().map(|from| (&**from, reach(arrows, from))).collect();
    let circle = |from: &str| {
        let mutual = reached[from].iter().filter(|to| reached.get(*to).is_some_and(|back| back.contains(from)));
        mutual.copied().collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<_> = arrows.keys().map(|from| circle(from)).filter(|circle| circle.len() > 1).collect();
    all.into_iter().collect()
}

fn reach<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        for to in arrows.get(at).into_iter().flatten() {
            if reached.insert(&**to) {
                next.push(to);
            }
        }
    }
    reached
}

fn related(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}::"));
    within(one, other) || within(other, one)
}

/// The module in which a path ends, as seen from another.
fn target(own: &str, path: &str, known: &BTreeSet<String>) -> Option<String> {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut base: Vec<&str> = own.split("::").collect();
    match parts[0] {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            while parts.get(1) == Some(&"super") {
                base.pop();
                parts.remove(0);
            }
            base.pop();
        }
        child if known.contains(&format!("{own}::{child}")) => parts.insert(0, "self"),
        _ => return None,
    }
    base.extend(&parts[1..]);
    (1..=base.len()).rev().map(|len| base[..len].join("::")).find(|module| known.contains(module))
}

/// The paths that code names: of its imports, and in full.
fn paths(code: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    for (n, statement) in code.split("use ").enumerate() {
        let (tree, after) = if n == 0 { ("", statement) } else { statement.split_once(';').unwrap_or_default() };
        expand(&tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
        rest += after;
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let roots = ["crate::", "super::", "self::"];
    let named = rest.split(|c: char| !word(c)).filter(|path| roots.iter().any(|root| path.starts_with(root)));
    found.extend(named.map(|path| path.trim_end_matches(':').to_owned()));
    found
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(tree: &str, found: &mut Vec<String>) {
    let Some((before, inner)) = tree.split_once('{') else {
        found.push(tree.split(" as ").next().unwrap_or_default().trim().to_owned());
        return;
    };
    let inner = &inner[..inner.rfind('}').unwrap_or(inner.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let one = inner[start..at].trim();
                if !one.is_empty() {
                    expand(&format!("{before}{one}"), found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn imports_are_followed_to_the_file_that_they_name() {
    let files = [
        ("a.rs", "mod b;\nuse b::{X, c::{Y, Z as W}};\nuse crate::d::E;"),
        ("a/b.rs", "use super::super::d; fn f() { crate::a::g::h() }"),
        ("a/b/c.rs", "use std::fs;"),
        ("a/g.rs", "use super::b::X;"),
        ("d.rs", "pub use crate::a::b::{self, X};"),
    ]
    .map(|(name, code)| (name.to_owned(), code.to_owned()));
    let arrows = arrows(&files);
    let of = |module: &str| arrows[module].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!((of("a"), of("a::b"), of("d")), (vec!["d"], vec!["a::g", "d"], vec!["a::b"]));
    assert_eq!((of("a::b::c"), of("a::g")), (vec![], vec!["a::b"]));
    assert_eq!(circles(&arrows), [BTreeSet::from(["a::b", "a::g", "d"])]);
}
