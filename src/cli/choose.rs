//! What to do when words match several ids: list them, and ask who sits at a terminal.

use std::collections::HashMap;
use std::io::{self, BufRead as _};
use std::ops::ControlFlow;

use crate::cli::context::within::Numbered;
use crate::cli::context::{Context, heed};
use crate::cli::failure::{Failure, Result};
use crate::cli::render::hits;
use crate::cli::render::human::{date, word};
use crate::cli::render::json::Line;
use crate::cli::render::table::Align::{Left, Path, Right, Spare};
use crate::cli::render::table::Table;
use crate::cli::say;
use crate::cli::say::names::Names;
use crate::cli::signals::Signals;
use crate::model::{ContentId, Hit, Kind, Query, SafePath, Shown, Size};
use crate::node::Beyond;

/// Rows of a page where the terminal does not tell its height, and the fewest.
const PAGE: (usize, usize) = (20, 5);
/// Rows that are not the candidates': headings, hints and what is typed.
const BESIDE: usize = 4;
/// Characters of an id that are shown at least: its beginning can be given in place of the whole.
const SHORT: usize = 8;

/// Lists the candidates as results; beside a result on standard output, on standard error.
pub(crate) fn list(context: &Context, candidates: &[Hit], beyond: Beyond, stdout_is_taken: bool) -> Result<()> {
    let output = &context.output;
    output.emit_all(candidates.iter().map(|hit| Line::hit(hit, None)))?;
    output.emit(&Line::Summary { hits: candidates.len() as u64, beyond })?;
    let width = if stdout_is_taken { output.error_width() } else { output.width() };
    let rivals = hits::rivals(candidates, &output.names().wide(width.is_none()));
    let table = context.numbered(rivals, candidates.iter().map(Numbered::of));
    if stdout_is_taken {
        output.note(table.render(width).trim_end());
        return Ok(());
    }
    output.table(&table)
}

/// Asks which of them, until that is said; nothing when the answer is none of them.
pub(crate) async fn ask(
    context: &Context,
    candidates: &[Hit],
    beyond: Beyond,
    signals: &mut Signals,
) -> Result<Vec<ContentId>> {
    let rows = console::Term::stderr().size_checked().map_or(PAGE.0, |(rows, _)| usize::from(rows));
    let mut chooser = Chooser::new(candidates, rows.saturating_sub(BESIDE).max(PAGE.1));
    let names = context.output.names().wide(context.output.error_width().is_none());
    match beyond {
        Beyond { more: 0, at_least: false } => {}
        Beyond { more: 0, .. } => context.output.note("There may be more: not all who were asked have answered. q, and the same command again, asks them once more."),
        _ => context.output.note("There are more; more words leave fewer."),
    }
    context.output.note(chooser.page(&names).render(context.output.error_width()).trim_end());
    loop {
        context.output.note(&chooser.question());
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|read| (read > 0).then_some(line))
        });
        let line = heed(signals, line).await.inspect_err(|_| {
            // What the terminal has shown of the key is no place for the next thing.
            context.output.note("");
        });
        let line = line?.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?;
        let Some(line) = line else { return Ok(Vec::new()) };
        match chooser.answer(&line) {
            ControlFlow::Break(chosen) => return Ok(chosen),
            ControlFlow::Continue(Some(wrong)) => context.output.note(&wrong),
            ControlFlow::Continue(None) => {
                let page = chooser.page(&names);
                context.output.note(page.render(context.output.error_width()).trim_end());
            }
        }
    }
}

/// Contents that are found together, each once: a file within one of the collections comes with that.
pub(crate) fn apart(hits: &[Hit]) -> Vec<&Hit> {
    let roots: Vec<&str> = hits.iter().filter(|hit| hit.kind == Kind::Collection).flat_map(names).collect();
    let within =
        |name: &str| roots.iter().any(|root| name.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')));
    hits.iter().filter(|hit| hit.names.is_empty() || !names(hit).all(within)).collect()
}

/// That no two of what was chosen would come under one name. `beneath`: only this directory of each.
///
/// # Errors
/// With the first two that would.
pub(crate) fn is_apart(hits: &[Hit], chosen: &[ContentId], beneath: Option<&str>) -> Result<()> {
    let (shown, only) = (telling(hits), say::only(beneath));
    let mut seen: HashMap<SafePath, &Hit> = HashMap::new();
    for hit in hits.iter().filter(|hit| hit.id.is_some_and(|id| chosen.contains(&id))) {
        let Some(name) = hit.names.first() else { continue };
        if let Some(other) = seen.insert(name.last(), hit) {
            let [one, two] = [other, hit].map(|hit| format!("{} ({})", hits::headline(hit), short(hit, shown)));
            let [first, second] = [other, hit].map(|hit| short(hit, shown));
            return Err(Failure::Ambiguous(format!(
                "{one} and {two} would both be put to `{}`: fetch each to a place of its own, `qshare get {first}{only} \
                 -o DIR/` and `qshare get {second}{only} -o OTHER/`",
                Shown(name.last().as_str())
            )));
        }
    }
    Ok(())
}

/// The beginning of an id by which it can be named, of so many characters.
fn short(hit: &Hit, shown: usize) -> String {
    hit.id.map_or_else(|| "(not hashed)".to_owned(), |id| id.to_string()[..shown].to_owned())
}

fn names(hit: &Hit) -> impl Iterator<Item = &str> {
    hit.names.iter().map(|name| name.as_str())
}

/// What is chosen from, and which part of it is shown. A candidate keeps its number whatever is shown.
struct Chooser<'a> {
    candidates: &'a [Hit],
    /// Places of those that the filter leaves.
    left: Vec<usize>,
    /// How many of those were on pages before this one.
    from: usize,
    rows: usize,
}

impl<'a> Chooser<'a> {
    fn new(candidates: &'a [Hit], rows: usize) -> Self {
        Self { candidates, left: (0..candidates.len()).collect(), from: 0, rows }
    }

    fn more(&self) -> usize {
        self.left.len().saturating_sub(self.from + self.rows)
    }

    fn page(&self, names: &Names) -> Table {
        let [number, name, kind, size] = [("", Right), ("NAME", Path), ("KIND", Spare), ("SIZE", Right)];
        let columns = [number, name, kind, size, hits::CHANGED, ("PROVIDER", Spare), ("ID", Left)];
        let shown = telling(self.candidates);
        let cells = |place: &usize| {
            let hit = &self.candidates[*place];
            let name = hit.names.first().map_or_else(String::new, ToString::to_string);
            let number = (place + 1).to_string();
            let (size, changed) = (Size(hit.size).to_string(), date(hit.modified));
            [number, name, word(&hit.kind), size, changed, from(hit, names), short(hit, shown)]
        };
        let rows = self.left.iter().skip(self.from).take(self.rows);
        Table::of(&columns, rows.map(cells)).without_empty(hits::CHANGED)
    }

    fn question(&self) -> String {
        let enter = match self.more() {
            0 => "enter or q for none".to_owned(),
            more => format!("enter for {more} more; q for none"),
        };
        let last = self.candidates.len();
        // Of two, no more is a range than the two.
        let several = if last > 2 { "1,3 or 2-3" } else { "1,2" };
        format!("Which? (1 to {last}; several such as {several}; all; a word to filter by, * for all again; {enter})")
    }

    /// Takes an answer: what is chosen; or what was wrong with it; or nothing, and another page is to be shown.
    fn answer(&mut self, line: &str) -> ControlFlow<Vec<ContentId>, Option<String>> {
        let line = line.trim();
        match (line, self.more()) {
            ("", 0) | ("q" | "quit" | "none", _) => return ControlFlow::Break(Vec::new()),
            ("", _) => {
                self.from += self.rows;
                return ControlFlow::Continue(None);
            }
            ("*", _) => return self.filter(|_| true, String::new()),
            ("all", _) => return self.chosen(&self.left.clone()),
            _ => {}
        }
        match numbers(line, self.candidates.len()) {
            Ok(places) => self.chosen(&places),
            // A year, say, may stand in names.
            Err(wrong) => match Query::parse(&[line.strip_prefix('/').unwrap_or(line)]) {
                Ok(query) => self.filter(|hit| hit.clone().keep_what_answers(&query), wrong),
                Err(error) => ControlFlow::Continue(Some(error.to_string())),
            },
        }
    }

    /// Leaves those that are wanted; where there are none, says so.
    fn filter(&mut self, wanted: impl Fn(&Hit) -> bool, none: String) -> ControlFlow<Vec<ContentId>, Option<String>> {
        let left: Vec<usize> = (0..self.candidates.len()).filter(|place| wanted(&self.candidates[*place])).collect();
        if left.is_empty() {
            return ControlFlow::Continue(Some(none));
        }
        (self.left, self.from) = (left, 0);
        ControlFlow::Continue(None)
    }

    /// What is not hashed yet has no id and cannot be chosen, and two of one name not together.
    fn chosen(&self, places: &[usize]) -> ControlFlow<Vec<ContentId>, Option<String>> {
        match places.iter().find(|place| self.candidates[**place].id.is_none()) {
            Some(place) => ControlFlow::Continue(Some(format!("{} is not hashed yet; choose others.", place + 1))),
            None => {
                let chosen: Vec<_> = places.iter().filter_map(|place| self.candidates[*place].id).collect();
                match is_apart(self.candidates, &chosen, None) {
                    Ok(()) => ControlFlow::Break(chosen),
                    Err(same) => ControlFlow::Continue(Some(format!("{same}; choose others."))),
                }
            }
        }
    }
}

/// How many characters of their ids tell the candidates apart: some may begin alike, as a lie or by chance.
fn telling(candidates: &[Hit]) -> usize {
    let mut ids: Vec<String> = candidates.iter().filter_map(|hit| hit.id).map(|id| id.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    let alike = |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(|pair| alike(pair) + 1).fold(SHORT, usize::max)
}

/// The places that `1,3 5-7` means, each once; or what of it means none, which may be a word.
pub(crate) fn numbers(line: &str, count: usize) -> Result<Vec<usize>, String> {
    let parts: Vec<&str> = line.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    if !parts.iter().any(|part| is_range(part)) {
        return Err(format!("None of them matches `{}`; * shows all.", Shown(line)));
    }
    let mut places = Vec::new();
    for part in parts {
        let (first, last) = ends(part);
        let number = |text: &str| text.parse::<usize>().ok().filter(|number| (1..=count).contains(number));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                places.extend((first - 1..last).filter(|place| !places.contains(place)).collect::<Vec<_>>());
            }
            _ if !is_range(part) => {
                return Err(format!("`{}` is no number: give numbers from 1 to {count}, or words alone.", Shown(part)));
            }
            _ => return Err(format!("There is no {part}, and no name has it: give numbers from 1 to {count}.")),
        }
    }
    Ok(places)
}

/// `5-7`; a number is from itself to itself.
fn ends(part: &str) -> (&str, &str) {
    part.split_once('-').unwrap_or((part, part))
}

/// Whether it is a number, or two with a line between them.
pub(crate) fn is_range(part: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (first, last) = ends(part);
    is_number(first) && is_number(last)
}

/// Who offers it: a friend by name if there is one, and how many others.
fn from(hit: &Hit, names: &Names) -> String {
    let friend = hit.providers.iter().find(|provider| names.of(provider.node).is_some());
    let Some(first) = friend.or_else(|| hit.providers.first()) else { return String::new() };
    match hit.providers.len() - 1 {
        0 => names.short(first.node),
        others => format!("{} +{others}", names.short(first.node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Friend, Friends, NodeId, Provider};

    fn hit(name: &str, kind: Kind, hashed: bool) -> Hit {
        let provider = |key: &[u8]| Provider { node: NodeId::of_public_key(key), addrs: Vec::new() };
        Hit {
            kind,
            names: vec![SafePath::parse(name).expect(name)],
            providers: vec![provider(b"a"), provider(b"b")],
            ..Hit::file(hashed.then(|| ContentId::of(name.as_bytes())), 1)
        }
    }

    fn candidates() -> Vec<Hit> {
        ["a/one.txt", "a/two.txt", "b/three.pdf", "b/four.pdf"]
            .iter()
            .enumerate()
            .map(|(n, name)| hit(name, Kind::File, n != 1))
            .collect()
    }

    fn ids(names: &[&str]) -> Vec<ContentId> {
        names.iter().map(|name| ContentId::of(name.as_bytes())).collect()
    }

    #[test]
    fn numbers_ranges_and_all_are_chosen_and_wrong_ones_asked_again() {
        let candidates = candidates();
        let answer = |line: &str| Chooser::new(&candidates, 20).answer(line);
        assert_eq!(answer(" 3\n"), ControlFlow::Break(ids(&["b/three.pdf"])));
        assert_eq!(answer("1, 3-4 3"), ControlFlow::Break(ids(&["a/one.txt", "b/three.pdf", "b/four.pdf"])));
        for none in ["", "\n", "q", "quit", "none\n"] {
            assert_eq!(answer(none), ControlFlow::Break(Vec::new()), "{none:?}");
        }
        for wrong in ["0", "5", "4-3", "1,9", "99999999999999999999999", "2", "all", "/", "/none", "zzz"] {
            assert!(matches!(answer(wrong), ControlFlow::Continue(Some(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_word_filters_and_the_numbers_stay() {
        let candidates = candidates();
        let mut chooser = Chooser::new(&candidates, 20);
        assert_eq!(chooser.answer("PDF"), ControlFlow::Continue(None));
        assert_eq!(chooser.left, [2, 3]);
        assert_eq!(chooser.answer("all"), ControlFlow::Break(ids(&["b/three.pdf", "b/four.pdf"])));
        assert_eq!(chooser.answer("*"), ControlFlow::Continue(None));
        assert_eq!(chooser.left.len(), 4);
        assert!(matches!(chooser.answer("/2"), ControlFlow::Continue(Some(_))), "a filter, and no number");
        assert_eq!(chooser.left.len(), 4);
    }

    #[test]
    fn a_number_that_is_none_of_them_is_a_word_and_what_is_no_number_is_said() {
        let names = ["report 2024.pdf", "report 2023.pdf", "5-7.txt"];
        let candidates: Vec<Hit> = names.iter().map(|name| hit(name, Kind::File, true)).collect();
        let mut chooser = Chooser::new(&candidates, 20);
        for (word, left) in [("2024", &[0][..]), ("5-7", &[2]), ("report 2023", &[1])] {
            assert_eq!(chooser.answer(word), ControlFlow::Continue(None), "{word}");
            assert_eq!(chooser.left, left);
        }
        let wrong = |line: &str| match Chooser::new(&candidates, 20).answer(line) {
            ControlFlow::Continue(Some(wrong)) => wrong,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong("1,x"), "`x` is no number: give numbers from 1 to 3, or words alone.");
        assert_eq!(wrong("1-x 2"), "`1-x` is no number: give numbers from 1 to 3, or words alone.");
        assert_eq!(wrong("1999"), "There is no 1999, and no name has it: give numbers from 1 to 3.");
        assert_eq!(wrong("zzz"), "None of them matches `zzz`; * shows all.");
        assert_eq!(wrong("/1999"), "None of them matches `/1999`; * shows all.");
    }

    #[test]
    fn enter_turns_the_page_until_the_last() {
        let candidates = candidates();
        let mut chooser = Chooser::new(&candidates, 3);
        let asked = "Which? (1 to 4; several such as 1,3 or 2-3; all; a word to filter by, * for all again; enter for 1 more; q \
                     for none)";
        assert_eq!(chooser.question(), asked);
        assert_eq!(chooser.answer(""), ControlFlow::Continue(None));
        let page = chooser.page(&Names::default()).render(None);
        assert!(page.contains("4  b/four.pdf") && !page.contains("three"), "{page}");
        assert_eq!(chooser.answer(""), ControlFlow::Break(Vec::new()));
    }

    #[test]
    fn ids_that_begin_alike_are_shown_as_far_as_they_differ() {
        let mut candidates = candidates();
        assert_eq!(telling(&candidates), SHORT);
        let mut other = *candidates[0].id.expect("hashed").as_bytes();
        other[9] ^= 1;
        candidates[2].id = Some(ContentId::from_bytes(other));
        assert_eq!(telling(&candidates), 20);
        let page = Chooser::new(&candidates, 20).page(&Names::default()).render(None);
        assert!([0, 2].iter().all(|n| page.contains(&candidates[*n].id.expect("hashed").to_string()[..20])), "{page}");
    }

    #[test]
    fn a_friend_is_named_before_strangers() {
        let node = NodeId::of_public_key(b"b");
        let names = Names::new(Friends::new([Friend { name: "anna".parse().expect("a name"), node, at: None }]));
        assert_eq!(from(&candidates()[0], &names), "anna +1");
        let first = NodeId::of_public_key(b"a").short();
        assert_eq!(from(&candidates()[0], &Names::default()), format!("{first} +1"));
    }

    #[test]
    fn two_things_of_one_name_are_not_put_to_one_place() {
        let all = [
            hit("a/notes", Kind::Collection, true),
            hit("b/notes", Kind::Collection, true),
            hit("c", Kind::File, true),
        ];
        let [a, b, c] = ["a/notes", "b/notes", "c"].map(|name| ContentId::of(name.as_bytes()));
        is_apart(&all, &[a, c], None).expect("two names");
        let answer = |line: &str| Chooser::new(&all, 20).answer(line);
        assert!(answer("1,3").is_break() && matches!(answer("1,2"), ControlFlow::Continue(Some(_))), "asked again");
        let failure = is_apart(&all, &[a, b, c], None).expect_err("one name");
        let told = failure.to_string();
        assert_eq!(failure.exit().code(), 4);
        assert!(told.starts_with("a/notes, collection, 1 B (") && told.contains("both be put to `notes`"), "{told}");
        assert!(
            [a, b].iter().all(|id| told.contains(&format!("qshare get {} -o ", &id.to_string()[..SHORT]))),
            "{told}"
        );
    }

    #[test]
    fn what_comes_with_a_collection_is_not_fetched_besides() {
        let hits = [
            hit("papers", Kind::Collection, true),
            hit("papers/a.pdf", Kind::File, true),
            hit("papers-2/b.pdf", Kind::File, true),
        ];
        let left: Vec<_> = apart(&hits).iter().map(|hit| hit.names[0].to_string()).collect();
        assert_eq!(left, ["papers", "papers-2/b.pdf"]);
    }
}
