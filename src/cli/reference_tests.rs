//! `docs/cli.md` says of commands, settings and JSON lines what the code says: its parts between marks are made of the
//! parser, of `config/default.toml` and of the types that are written. `QSHARE_BLESS=1 cargo test --lib reference_tests` writes them.
//! And what the README and that page tell people to type is accepted.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::cli::args::{parse, parser};
use crate::cli::commands::status::Status;
use crate::cli::render::json::Line;
use crate::model::{ContentId, Kind, LocalPath, NodeId, SafePath};
use crate::node::{Direction, ErrorCode, Phase, Plane, There, Verdict};
use crate::wire::Role;
use crate::wire::names::names_of;

const DEFAULT: &str = include_str!("../../config/default.toml");

/// What is one of some words, and what is any text.
macro_rules! texts {
    ($($word:ident),*; $($text:ident),*) => {
        $(impl JsonSchema for $word {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($word).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": names_of::<Self>() })
            }
        })*
        $(impl JsonSchema for $text {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($text).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { json_schema!({ "type": "string" }) }
        })*
    };
}

texts!(Direction, Kind, Phase, Plane, Role, There, Verdict; ContentId, LocalPath, NodeId, SafePath);

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

#[test]
fn the_page_of_the_command_line_says_what_the_code_says() {
    let page = read("docs/cli.md");
    let parts = [
        ("commands", commands()),
        ("global options", options(parser().get_arguments().filter(|arg| is_global(arg)))),
        ("exit codes", exits()),
        ("settings", settings()),
        ("events", events()),
    ];
    let made = parts.iter().fold(page.clone(), |page, (name, text)| with(&page, name, text));
    if std::env::var_os("QSHARE_BLESS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        // Whole at each moment: another test reads it, too.
        std::fs::write(docs.join("cli.md.new"), &made).expect("written");
        std::fs::rename(docs.join("cli.md.new"), docs.join("cli.md")).expect("renamed");
        return;
    }
    for (is, ought) in page.lines().zip(made.lines()) {
        assert_eq!(is, ought, "docs/cli.md: run QSHARE_BLESS=1 cargo test --lib reference_tests");
    }
    assert_eq!(
        page.lines().count(),
        made.lines().count(),
        "docs/cli.md: run QSHARE_BLESS=1 cargo test --lib reference_tests"
    );
}

/// The page with this text between the marks of a part.
fn with(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: made of the code -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/cli.md has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("docs/cli.md has no {end}"));
    format!("{before}{begin}\n{}\n\n{end}{after}", text.trim())
}

fn is_global(arg: &Arg) -> bool {
    arg.get_help_heading() == Some("Global options")
}

/// Text within a cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn commands() -> String {
    let mut parser = parser();
    parser.build();
    let mut text = String::new();
    for command in parser.get_subcommands().filter(|command| command.get_name() != "help") {
        let below: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect();
        if below.is_empty() {
            text += &section(command.clone());
        } else {
            // One that does something without a word, too, and has options for that.
            if command.get_arguments().any(|arg| !is_global(arg) && arg.get_id() != "help") {
                text += &section(command.clone());
            }
            below.into_iter().for_each(|command| text += &section(command));
        }
    }
    text
}

fn section(mut command: Command) -> String {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>().join("`, `");
    let about = command.get_about().expect("what it does").to_string();
    let own = command.get_arguments().filter(|arg| !is_global(arg) && arg.get_id() != "help");
    format!("### `{usage}`\n\n{about}.\n\n{}", options(own))
}

fn options<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let rows: Vec<_> = args.filter(|arg| arg.get_id() != "version" && arg.get_id() != "help").map(option).collect();
    if rows.is_empty() { String::new() } else { format!("| option | what it does |\n|---|---|\n{}\n", rows.concat()) }
}

fn option(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_value_names().into_iter().flatten().map(|name| format!(" {name}")).collect();
    let value = if arg.get_action().takes_values() { values.concat() } else { String::new() };
    let flags = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let flags: Vec<_> = flags.into_iter().flatten().collect();
    let shown = format!("{}{value}", flags.join(", "));
    let help = arg.get_long_help().or_else(|| arg.get_help()).expect("what it does").to_string();
    let choices = arg.get_possible_values().iter().map(|one| format!("`{}`", one.get_name())).collect::<Vec<_>>();
    let defaults = if arg.get_action().takes_values() { arg.get_default_values() } else { &[] };
    let default = defaults.iter().map(|one| format!(" [default: {}]", one.to_string_lossy()));
    let choices = if choices.is_empty() || arg.get_long().is_some() {
        String::new()
    } else {
        format!(": {}", choices.join(", "))
    };
    format!("| `{}` | {}{choices}{} |\n", cell(&shown), sentences(&help), default.collect::<String>())
}

/// Paragraphs of help as sentences.
fn sentences(help: &str) -> String {
    help.split("\n\n").map(cell).collect::<Vec<_>>().join(". ").replace("..", ".")
}

fn exits() -> String {
    let help = parser().get_after_long_help().expect("exit codes").to_string();
    let numbers = help.lines().find(|line| line.starts_with("Exit codes")).expect("exit codes").to_owned();
    let mut rows = String::new();
    for one in list(schema::<ErrorCode>().get("oneOf")) {
        let code: ErrorCode = serde_json::from_value(one["const"].clone()).expect("a code");
        let _ =
            writeln!(rows, "| {} | {} | {} |", one["const"].as_str().expect("a word"), code.exit(), description(one));
    }
    format!("{numbers}\n\n| `code` | `exit` | meaning |\n|---|---|---|\n{rows}")
}

fn settings() -> String {
    let (mut rows, mut table, mut about) = (String::new(), String::new(), String::new());
    for line in DEFAULT.lines().skip_while(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            let example = comment.strip_prefix("   ").map(|example| format!(" `{example}`"));
            about += &example.unwrap_or_else(|| comment.to_owned());
        } else if let Some(name) = line.strip_prefix('[') {
            table = name.replace(']', ".");
        } else if let Some((key, value)) = line.split_once(" = ") {
            let told = if about.is_empty() { "as before".to_owned() } else { cell(&about) };
            let _ = writeln!(rows, "| `{table}{key}` | `{value}` | {told} |");
            about.clear();
        }
    }
    format!("| setting | default | what it is |\n|---|---|---|\n{rows}")
}

fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::default()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn description(of: &Value) -> String {
    cell(of["description"].as_str().unwrap_or_else(|| panic!("nothing is said of {of}")))
}

fn events() -> String {
    let lines = schema::<Line<'_>>();
    let status = Value::from(schema::<Status>());
    let mut all: Vec<&Value> = list(lines.get("oneOf")).iter().chain([&status]).collect();
    all.sort_by_key(|event| name(event));
    all.into_iter().map(event).collect()
}

/// An event's name: its tag, or what a struct that is one calls itself.
fn name(of: &Value) -> &str {
    of["properties"]["event"]["const"].as_str().or_else(|| of["title"].as_str()).expect("its name")
}

fn event(of: &Value) -> String {
    let mut rows = String::new();
    fields("", of, &mut rows);
    let name = name(of);
    format!("### `{name}`\n\n{}\n\n| field | type | what it is |\n|---|---|---|\n{rows}\n", description(of))
}

fn fields(above: &str, of: &Value, rows: &mut String) {
    for (name, field) in of["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != "event") {
        let path = format!("{above}{name}");
        let _ = writeln!(rows, "| `{path}` | {} | {} |", kind(field), description(field));
        let one = list(field.get("anyOf")).first().unwrap_or(field);
        fields(&format!("{path}."), one, rows);
        fields(&format!("{path}[]."), &one["items"], rows);
    }
}

/// A field's type for people: what JSON calls it, the words that it may be, and whether it may be null.
fn kind(field: &Value) -> String {
    let either = list(field.get("anyOf"));
    if !either.is_empty() {
        return either.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let described = list(field.get("oneOf")).iter().filter_map(|one| one["const"].as_str());
    let words: Vec<_> = list(field.get("enum")).iter().filter_map(Value::as_str).chain(described).collect();
    let words = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let types = match &field["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap_or("string")],
    };
    let named = types.into_iter().map(|name| if name == "string" && !words.is_empty() { &words } else { name });
    named.collect::<Vec<_>>().join(" or ")
}

/// The commands of a page: lines of indented blocks and of tables that begin with one.
fn typed(page: &str) -> Vec<&str> {
    let lines = page.lines().map(|line| line.trim_start().trim_start_matches("| `"));
    let commands = lines.filter_map(|line| line.strip_prefix("qshare "));
    commands.map(|line| line.split(['#', '`', '&']).next().unwrap_or_default().trim()).collect()
}

#[test]
fn what_the_pages_tell_people_to_type_is_accepted() {
    for page in ["README.md", "docs/cli.md"] {
        let text = read(page);
        let commands = typed(&text);
        assert!(commands.len() > 5, "{page} has commands");
        for command in commands {
            let words = command
                .split_whitespace()
                .map(|word| word.trim_matches('\'').replace("ID@", &format!("{}@", "a".repeat(52))));
            let line = std::iter::once("qshare".to_owned()).chain(words).map(Into::into);
            assert!(parse(line).is_ok(), "{page}: {command}");
        }
    }
}
