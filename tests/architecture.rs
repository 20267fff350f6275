//! The source has floors: a folder imports only from the floors below its own.
//!
//! The test reads every path that begins with `crate`, `super` or `self`, in `use` lines and elsewhere. There is no list
//! of exceptions. If the test fails, move the item to the floor that owns it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The library, from the bottom up. Units of one floor do not import each other.
const LIBRARY: &[&[&str]] = &[
    &["rate", "shutdown", "text"],
    &["client", "error", "network"],
    &["protocol"],
    &["config"],
    &["events"],
    &["service"],
    &["net"],
    &["session"],
    &["faults"],
    &["server", "udp"],
    &["testing"],
    &["lib"],
];

/// The program in `src/cli`, from the bottom up. `mod` is `src/cli/mod.rs`.
const PROGRAM: &[&[&str]] = &[
    &["describe", "json", "pieces", "stdio"],
    &["process"],
    &["arguments", "dial", "terminal"],
    &["admin", "chat", "greet", "prefix", "udp", "whoami"],
    &["completions", "connect", "man", "probe", "serve"],
    &["mod"],
];

/// The load harness below `benches/load`, likewise. Here each file of a folder is a unit, and the folders are floors as
/// well. `bench` and `main` declare them, and call the kinds of run.
const HARNESS: &[&[&str]] = &[
    &["describe", "output"],
    &["server", "server::process", "server::udp_table", "server::usage"],
    &["traffic::address"],
    &["traffic::proxy"],
    &["traffic::datagrams", "traffic::faults", "traffic::load", "traffic::payload", "traffic::schedule"],
    &["traffic::alignment", "traffic::source", "traffic::tally"],
    &["traffic::adversary", "traffic::sample"],
    &["traffic::timeline"],
    &["traffic::context"],
    &["traffic::client", "traffic::pipeline"],
    &["traffic::connection", "traffic::udp"],
    &["traffic::engine"],
    &["traffic", "traffic::run"],
    &["results::baseline", "results::figures"],
    &["results::faults", "results::hgrm"],
    &["results::json", "results::plot", "results::report"],
    &["results", "results::html"],
    &["search::knee", "search::objective"],
    &["search"],
    &["cli::live", "cli::problem", "cli::values"],
    &["cli::files", "cli::installation"],
    &["cli::arguments"],
    &["cli::target"],
    &["cli::search"],
    &["cli", "cli::single"],
    &["comparison::affinity", "comparison::build", "comparison::markdown", "comparison::rounds"],
    &["comparison::peers"],
    &["comparison::scenario"],
    &["comparison::arguments", "comparison::suite_results"],
    &["comparison::plot", "comparison::suite_report"],
    &["comparison", "comparison::growth", "comparison::suite"],
    &["program::installed", "program::merge"],
    &["program::arguments"],
    &["program"],
    &["bench", "main"],
];

/// A path of the source, from the root of its crate.
type Names = Vec<String>;

#[test]
fn the_library_imports_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = exports(&fs::read_to_string(root.join("lib.rs")).expect("the library has a root"));
    // A name that the root of the crate exports belongs to the module that defines it.
    let unit = |path: &Names| match path.first().map(String::as_str) {
        Some(name) => exported.get(name).cloned().unwrap_or_else(|| name.to_owned()),
        None => "lib".to_owned(),
    };
    check(LIBRARY, sources(&root, &["cli", "main.rs"]), unit);
}

#[test]
fn the_program_imports_downward_only_and_the_library_by_its_public_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let unit = |path: &Names| path.get(1).cloned().unwrap_or_else(|| "mod".to_owned());
    let files: Vec<_> = sources(&root, &[])
        .into_iter()
        .map(|(module, source)| ([vec!["cli".to_owned()], module].concat(), source))
        .collect();
    for (module, source) in &files {
        assert!(!source.contains("#[path"), "{module:?} compiles a file of the library a second time");
    }
    check(PROGRAM, files, unit);
}

#[test]
fn the_load_harness_imports_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load");
    let unit = |path: &Names| match path.first() {
        Some(file) if ["describe", "output"].contains(&file.as_str()) => file.clone(),
        _ => path.iter().take(2).cloned().collect::<Vec<_>>().join("::"),
    };
    check(HARNESS, sources(&root, &[]), unit);
}

#[test]
fn paths_are_found_in_every_form() {
    let source = "use crate::a::{self, b::{C, D as E}};\npub(crate) use super::f::G;\nlet x = crate::h::i();\n\
                  // use crate::comment::X;\nlet text = \"crate::text::X\";\nuse own::Child;\nmod tests {\n    use super::*;\n}";
    let module = ["m".to_owned(), "n".to_owned()];
    let found: Vec<String> = paths(source, &module).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::b::C", "a::b::D", "m::f::G", "h::i", "m::n"]);
}

#[test]
fn imports_from_above_and_from_the_same_floor_are_found() {
    let floors: &[&[&str]] = &[&["low", "side"], &["high"]];
    let unit = |path: &Names| path[0].clone();
    for (source, is_fine) in [
        ("use crate::low::X;", true),
        ("use crate::high::X;", false),
        ("use super::super::high::X;", false),
        ("use crate::side::X;", false),
        ("fn f() { crate::high::g() }", false),
    ] {
        let file = (vec!["low".to_owned(), "file".to_owned()], source.to_owned());
        let outcome = std::panic::catch_unwind(|| check(floors, vec![file], unit));
        assert_eq!(outcome.is_ok(), is_fine, "{source}");
    }
}

/// Asserts that every path in every file leads to the file's own unit or to a lower floor.
fn check(floors: &[&[&str]], files: Vec<(Names, String)>, unit: impl Fn(&Names) -> String) {
    let floor = |unit: &str| floors.iter().position(|floor| floor.contains(&unit));
    let mut upward = Vec::new();
    for (module, source) in files {
        let own = unit(&module);
        let own_floor = floor(&own).unwrap_or_else(|| panic!("{own} is on no floor"));
        for path in paths(&source, &module) {
            let other = unit(&path);
            // A name that is not a unit is an item of the root itself, such as a constant in `cli/mod.rs`.
            if other != own && floor(&other).is_none_or(|other_floor| other_floor >= own_floor) {
                upward.push(format!("{} imports {}", module.join("::"), path.join("::")));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

/// Returns the module path and the text of every source file below `root`, except for the entries `except` of `root`.
fn sources(root: &Path, except: &[&str]) -> Vec<(Names, String)> {
    let mut sources = Vec::new();
    let mut folders = vec![(root.to_owned(), Names::new())];
    while let Some((folder, module)) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("names are text").to_owned();
            if module.is_empty() && except.contains(&name.as_str()) {
                continue;
            }
            let mut module = module.clone();
            match name.strip_suffix(".rs") {
                // Such as a server in another language that the harness starts.
                None if !path.is_dir() => {}
                None => {
                    module.push(name);
                    folders.push((path, module));
                }
                Some(stem) => {
                    if !(["mod", "lib"].contains(&stem)) {
                        module.push(stem.to_owned());
                    }
                    sources.push((module, fs::read_to_string(path).expect("it is text")));
                }
            }
        }
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources
}

/// Returns the names that the `pub use` lines of the crate's root export, each with its module.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in statements(root).iter().filter_map(|statement| statement.strip_prefix("pub use ")) {
        for path in expand(statement) {
            names.insert(path.last().expect("a path has a name").clone(), path[0].clone());
        }
    }
    names
}

/// Returns the paths in a file of module `module` that begin with `crate`, `super` or `self`. The unit tests at the end
/// of the file are a module of their own.
fn paths(source: &str, module: &[String]) -> Vec<Names> {
    let (code, tests) = source.split_once("\nmod tests {").unwrap_or((source, ""));
    let tests_module = [module, &["tests".to_owned()]].concat();
    let mut found = paths_of_module(code, module);
    found.extend(paths_of_module(tests, &tests_module));
    found
}

fn paths_of_module(source: &str, module: &[String]) -> Vec<Names> {
    let mut found = Vec::new();
    for statement in statements(source) {
        let tree = statement.split_once("use ").map(|(_, tree)| tree);
        let is_use = statement.starts_with("use ") || statement.starts_with("pub");
        let written = match tree {
            Some(tree) if is_use => expand(tree),
            _ => inline(&statement),
        };
        found.extend(written.into_iter().filter_map(|path| absolute(&path, module)));
    }
    found
}

/// Resolves a path in module `module`. Returns `None` for a path into a child module or another crate.
fn absolute(path: &[String], module: &[String]) -> Option<Names> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let from = match path.first()?.as_str() {
        "crate" => &[],
        "self" => module,
        "super" => &module[..module.len().saturating_sub(supers)],
        _ => return None,
    };
    let rest = path.iter().filter(|name| !["crate", "self", "super", "*"].contains(&name.as_str()));
    Some(from.iter().chain(rest).cloned().collect())
}

/// Returns the statements of a source, each on one line, without comments and the contents of strings.
fn statements(source: &str) -> Vec<String> {
    let mut code = String::new();
    for line in source.lines() {
        let mut is_text = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if is_text => drop(characters.next()),
                '"' => is_text = !is_text,
                '/' if !is_text && characters.peek() == Some(&'/') => break,
                _ if is_text => {}
                _ => code.push(character),
            }
        }
        code.push(' ');
    }
    // `pub(in crate::...)` is not an import.
    while let Some(start) = code.find("(in crate") {
        let end = code[start..].find(')').map_or(code.len(), |length| start + length + 1);
        code.replace_range(start..end, "");
    }
    // The braces of a block end a statement, but those of a `use` do not.
    let mut statements = vec![String::new()];
    let mut is_use = false;
    for word in code.split_inclusive([' ', ';', '{', '}']) {
        let last = statements.last_mut().expect("there is always one");
        is_use |= word.trim() == "use" && (last.trim().is_empty() || last.trim().starts_with("pub"));
        last.push_str(word);
        if word.ends_with(';') || (!is_use && word.ends_with(['{', '}'])) {
            statements.push(String::new());
            is_use = false;
        }
    }
    statements.into_iter().map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Returns the paths of a `use` tree.
fn expand(tree: &str) -> Vec<Names> {
    let tree = tree.trim().trim_end_matches(';').trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|name| name.trim().to_owned()).collect()];
    };
    let prefix: Names =
        prefix.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let (mut depth, mut branch, mut paths) = (0, String::new(), Vec::new());
    for character in rest.strip_suffix('}').unwrap_or(rest).chars().chain([',']) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth <= 0 {
            if !branch.trim().is_empty() {
                paths.extend(expand(&branch).into_iter().map(|path| {
                    let path = path.into_iter().filter(|name| name != "self");
                    prefix.iter().cloned().chain(path).collect()
                }));
            }
            branch.clear();
            depth = 0;
        } else {
            branch.push(character);
        }
    }
    paths
}

/// Returns the paths in code that is not a `use` line.
fn inline(code: &str) -> Vec<Names> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    code.split(|character| !is_name(character))
        .filter(|word| word.contains("::"))
        .map(|word| word.split("::").map(str::to_owned).collect())
        .collect()
}
