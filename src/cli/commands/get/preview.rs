//! What a dry run says: each file with what is at its target, then how much would come and from whom.

use crate::cli::render::hits;
use crate::cli::render::human::{counted, date};
use crate::cli::render::table::{Align, Table};
use crate::cli::say::names::Names;
use crate::model::{Shown, Size};
use crate::node::{Busy, Has, Outcome, Preview, There};

/// Files that are shown: those that are in the way before the others. Programs are told all.
const SHOWN: usize = 20;

/// All of it, each line ended.
pub(super) fn text(outcome: &Outcome, preview: &Preview, names: &Names, width: Option<usize>) -> String {
    let mut table = Table::new(&[("TARGET", Align::Path), ("SIZE", Align::Right), ("", Align::Left)]);
    let mut files: Vec<_> = preview.files.iter().collect();
    files.sort_by_key(|file| urgency(file.there));
    for file in files.iter().take(SHOWN) {
        let target = file.path.as_ref().map_or_else(|| file.name.to_string(), |path| path.to_string_lossy().into());
        table.row([target, Size(file.size).to_string(), state(file.there, preview.force).to_owned()]);
    }
    let more = match files.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("and {} (--json shows all)\n", counted(more as u64, "more file")),
    };
    let holders = &preview.holders;
    let who = match holders.len() as u64 {
        0 => "nobody who has it is known\n".to_owned(),
        count => {
            let parts = holders.iter().filter(|holder| matches!(holder.has, Has::Parts(_))).count();
            let only = if parts == holders.len() { ", parts of it only" } else { "" };
            let table = hits::holders(holders, outcome.bytes, names).render(width);
            format!("{}{only}:\n{table}", counted(count, "provider"))
        }
    };
    let changed = preview.modified.map(|_| format!("last changed {}\n", date(preview.modified))).unwrap_or_default();
    format!("{}{more}{}\n{}\n{changed}{who}", table.render(width), totals(preview), verdict(preview))
}

/// The same of one of several things: one line.
pub(super) fn line(outcome: &Outcome, preview: &Preview, names: &Names) -> String {
    let what = match (preview.in_the_way(), preview.busy.filter(|_| preview.comes())) {
        (0, None) => coming(preview),
        (0, Some(busy)) => waiting(busy),
        _ => "nothing would be fetched".to_owned(),
    };
    let path = outcome.path.as_ref().map_or_else(|| outcome.name.to_string(), |path| path.to_string_lossy().into());
    format!("{}: {}; {what} {}\n", Shown(&path), totals(preview), from(preview, names))
}

/// Who has it: `from anna (ucsw4zkp) and 2 more`.
fn from(preview: &Preview, names: &Names) -> String {
    let more = |count| if count == 0 { String::new() } else { format!(" and {count} more") };
    match preview.holders.split_first() {
        None => "from nobody who is known".to_owned(),
        Some((first, others)) => format!("from {}{}", names.brief(first.node), more(others.len())),
    }
}

/// Takes one of several things into what is told of all.
pub(super) fn add(all: &mut Preview, one: &Preview) {
    if one.in_the_way() == 0 {
        all.to_come += one.to_come;
        all.kept += one.kept;
    }
    all.force = one.force;
    all.files.extend_from_slice(&one.files);
}

/// What is told of several things together.
pub(super) fn sum(things: u64, all: &Preview) -> String {
    let hint = hint(all).map(|hint| format!("; nothing of the things with files that cannot be put in place: {hint}"));
    let hint = hint.unwrap_or_default();
    format!("{} with {}\n{}{hint}\n", counted(things, "thing"), totals(all), coming(all))
}

/// What a person would want to see first.
const fn urgency(there: There) -> u8 {
    match there {
        There::Blocked | There::Differs => 0,
        There::Newer | There::Older => 1,
        There::New => 2,
        There::Same => 3,
    }
}

const fn state(there: There, force: bool) -> &'static str {
    match there {
        There::Blocked => "in the way, never replaced",
        There::Differs if force => "other content, to be replaced",
        There::Differs => "in the way with other content",
        There::New => "new",
        There::Newer => "content that is not older, stays",
        There::Older => "older content, to be replaced",
        There::Same => "here already",
    }
}

/// `3 files: 1 new, 2 here already`.
fn totals(preview: &Preview) -> String {
    let of = |there| (preview.count(there), state(there, preview.force));
    let all = [There::New, There::Same, There::Older, There::Newer, There::Differs, There::Blocked];
    let counts = all.map(of);
    let counts: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    format!("{}: {}", counted(preview.files.len() as u64, "file"), counts.join(", "))
}

/// `4.0 MiB to come, 1.0 MiB are here from an earlier run`.
fn coming(preview: &Preview) -> String {
    let kept = match preview.kept {
        0 => String::new(),
        kept => format!(" ({} of {} are here from an earlier run)", Size(kept), Size(kept + preview.to_come)),
    };
    format!("{} to come{kept}", Size(preview.to_come))
}

/// The one thing that a `get` would do.
fn verdict(preview: &Preview) -> String {
    let Some(hint) = hint(preview) else {
        return preview.busy.filter(|_| preview.comes()).map_or_else(|| coming(preview), waiting);
    };
    let files = counted(preview.in_the_way() as u64, "file");
    format!("nothing would be fetched while {files} cannot be put in place: {hint}")
}

/// What to do about files that are in the way.
fn hint(preview: &Preview) -> Option<&'static str> {
    match (preview.in_the_way(), preview.count(There::Blocked)) {
        (0, _) => None,
        (_, 0) => {
            Some("choose another place with -o, replace what is older with --update, or all that differs with --force")
        }
        _ => Some("move away what is never replaced, or choose another place with -o"),
    }
}

fn waiting(busy: Busy) -> String {
    let who = busy.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    format!("{who} is fetching it now and has {} of it: a get would wait until that ends, and copy it", Size(busy.have))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{ContentId, Kind, NodeId, SafePath};
    use crate::node::{Holder, PreviewFile};

    fn outcome(there: &[There], force: bool) -> Outcome {
        let file = |(n, there): (usize, &There)| PreviewFile {
            name: SafePath::parse(&format!("f{n}")).expect("a name"),
            size: 2048,
            path: Some(format!("out/f{n}").into()),
            there: *there,
        };
        let files = there.iter().enumerate().map(file).collect();
        let addrs = vec!["10.0.0.1:7".parse().expect("an address")];
        let holders = vec![Holder { node: NodeId::of_public_key(b"a"), addrs, has: Has::Whole }];
        Outcome {
            id: ContentId::of(b"x"),
            kind: Kind::Collection,
            name: SafePath::parse("t").expect("a name"),
            path: Some("out".into()),
            bytes: 0,
            fetched: 0,
            part: false,
            copied: 0,
            replaced: 0,
            left: 0,
            elapsed: Duration::ZERO,
            providers: Vec::new(),
            plane: None,
            preview: Some(Preview { files, to_come: 3072, kept: 1024, force, holders, ..Preview::default() }),
            shares: Vec::new(),
            seeding: false,
            lacks: false,
            waited: Duration::ZERO,
        }
    }

    fn shown(there: &[There], force: bool) -> String {
        let outcome = outcome(there, force);
        text(&outcome, outcome.preview.as_ref().expect("dry"), &Names::default(), None)
    }

    #[test]
    fn each_file_has_its_state_and_the_end_says_what_would_come() {
        let all = shown(&[There::New, There::Same, There::Differs], false);
        let node = NodeId::of_public_key(b"a");
        let expected = format!(
            "TARGET     SIZE\nout/f2  2.0 KiB  in the way with other content\nout/f0  2.0 KiB  new\nout/f1  2.0 KiB  \
             here already\n3 files: 1 new, 1 here already, 1 in the way with other content\nnothing would be fetched \
             while 1 file cannot be put in place: choose another place with -o, replace what is older with --update, or \
             all that differs with --force\n1 provider:\nADDRESSES   NODE\n10.0.0.1:7  {node}\n"
        );
        assert_eq!(all, expected);
        let free = shown(&[There::New, There::Same], false);
        let coming = "\n3.0 KiB to come (1.0 KiB of 4.0 KiB are here from an earlier run)\n1 provider:\n";
        assert!(free.contains(coming) && !free.contains("nothing would"), "{free}");
        let forced = shown(&[There::Differs], true);
        assert!(forced.contains("to be replaced") && !forced.contains("nothing would"), "{forced}");
        assert!(shown(&[There::Blocked], true).contains("never replaced, or choose"), "force does not help");
    }

    #[test]
    fn of_several_things_each_has_a_line_and_all_have_a_sum() {
        let (free, taken) = (outcome(&[There::New, There::Same], false), outcome(&[There::Differs], false));
        let [one, two] = [&free, &taken].map(|of| of.preview.as_ref().expect("dry"));
        let coming = "3.0 KiB to come (1.0 KiB of 4.0 KiB are here from an earlier run)";
        let from = format!("from {}", NodeId::of_public_key(b"a").short());
        let line = |of, plan| line(of, plan, &Names::default());
        assert_eq!(line(&free, one), format!("out: 2 files: 1 new, 1 here already; {coming} {from}\n"));
        let way = "in the way with other content";
        assert_eq!(line(&taken, two), format!("out: 1 file: 1 {way}; nothing would be fetched {from}\n"));
        let mut all = Preview::default();
        [one, two].into_iter().for_each(|one| add(&mut all, one));
        let text = sum(2, &all);
        assert!(
            text.starts_with(&format!(
                "2 things with 3 files: 1 new, 1 here already, 1 {way}\n{coming}; nothing of the"
            ))
        );
        assert!(text.ends_with(" with --force\n") && all.in_the_way() == 1, "{text}");
    }

    #[test]
    fn of_many_files_the_first_are_shown_and_all_are_counted() {
        let mut there = vec![There::New; 3000];
        there[2999] = There::Older;
        let text = shown(&there, false);
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with("older content, to be replaced")), "{text}");
        assert!(text.contains("and 2,980 more files (--json shows all)\n3,000 files: 2999 new, 1 older"), "{text}");
    }

    #[test]
    fn who_has_only_parts_and_who_fetches_it_already_are_told() {
        let mut outcome = outcome(&[There::New], false);
        outcome.bytes = 4096;
        let preview = outcome.preview.as_mut().expect("dry");
        preview.holders[0].has = Has::Parts(Some(1024));
        let unreached = Holder { node: NodeId::of_public_key(b"b"), addrs: Vec::new(), has: Has::Parts(None) };
        preview.holders.push(unreached);
        preview.busy = Some(Busy { pid: Some(7), have: 1024 });
        let text = text(&outcome, outcome.preview.as_ref().expect("dry"), &Names::default(), None);
        assert!(text.contains("2 providers, parts of it only:\n") && text.contains("25 % of it"), "{text}");
        assert!(text.contains("process 7 is fetching it now") && !text.contains("to come"), "{text}");
    }
}
