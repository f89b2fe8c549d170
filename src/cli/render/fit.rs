//! How a line is made to fit a width: of its parts the less important ones drop out, then the name is shortened.
//! Widths are columns of a terminal. Not responsible for what the parts say.

use std::io::{self, IsTerminal as _};

use console::measure_text_width;
use itertools::Itertools as _;

const GAP: &str = "  ";
/// A name is not made shorter than this while there is a part that can drop out.
const NAME: usize = 16;
/// The same of a bar; more of it than the most says nothing, and would be wrapped where a terminal becomes narrower.
const BAR: (usize, usize) = (10, 40);

/// Whether standard error is shown in colours: nobody is to see their codes, and who sets `$NO_COLOR` wants none.
pub(super) fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !console::is_dumb() && !unwanted
}

/// Colours of what is shown, if there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// With colours, or without.
    pub(crate) const fn new(on: bool) -> Self {
        Self { on }
    }

    fn with(self, style: console::Style, text: &str) -> String {
        if self.on && !text.is_empty() { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    /// What a line is about.
    pub(crate) fn name(self, text: &str) -> String {
        self.with(console::Style::new().bold(), text)
    }

    /// Headings, and what only accompanies.
    pub(crate) fn aside(self, text: &str) -> String {
        self.with(console::Style::new().dim(), text)
    }

    /// What is done.
    pub(crate) fn done(self, text: &str) -> String {
        self.with(console::Style::new().green(), text)
    }

    /// What keeps something from going on.
    pub(crate) fn trouble(self, text: &str) -> String {
        self.with(console::Style::new().yellow(), text)
    }
}

/// A text of at most so many columns: its middle is left out, as ends tell files apart.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if measure_text_width(text) <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept - kept / 2, kept / 2);
    let front = taken(text.chars(), head);
    let back: String = taken(text.chars().rev(), tail).chars().rev().collect();
    if most == 0 { String::new() } else { format!("{front}…{back}") }
}

/// The same of a path: its last component stays whole where there is room for it.
pub(crate) fn path(text: &str, most: usize) -> String {
    let last = text.rfind('/').map_or("", |at| &text[at..]);
    let front = most.saturating_sub(measure_text_width(last) + 1);
    match measure_text_width(text) <= most || last.is_empty() || front == 0 {
        true => shortened(text, most),
        false => format!("{}…{last}", taken(text.chars(), front)),
    }
}

/// A text whose lines have at most so many columns where that can be: broken at blanks, and not within a command between backticks
/// that has room on a line. What is indented is there to be copied, and stays.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let is_left = |line: &str| line.starts_with(' ') || measure_text_width(line) <= width;
    text.split('\n').map(|line| if is_left(line) { line.to_owned() } else { broken(line, width) }).join("\n")
}

fn broken(line: &str, width: usize) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for piece in pieces(line, width) {
        let own = measure_text_width(&piece);
        let is_first = text.is_empty();
        let fits = column + 1 + own <= width;
        text.extend([
            if is_first {
                ""
            } else if fits {
                " "
            } else {
                "\n"
            },
            &piece,
        ]);
        column = if fits && !is_first { column + 1 + own } else { own };
    }
    text
}

/// Words, and commands that are not to be broken.
fn pieces(line: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut words = line.split(' ').peekable();
    let turns = |word: &str| word.matches('`').count() % 2 == 1;
    while let Some(word) = words.next() {
        let rest = words.clone();
        let end = rest.clone().position(turns).filter(|_| turns(word));
        let command = end.map(|end| std::iter::once(word).chain(rest.take(end + 1)).join(" "));
        match command.filter(|command| measure_text_width(command) <= width) {
            Some(command) => {
                pieces.push(command);
                words.nth(end.unwrap_or_default());
            }
            None => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// As many characters as have room.
fn taken(chars: impl Iterator<Item = char>, most: usize) -> String {
    let mut text = String::new();
    for c in chars {
        let before = text.len();
        text.push(c);
        if measure_text_width(&text) > most {
            text.truncate(before);
            break;
        }
    }
    text
}

/// A line of a name and parts, the most important first: those that have no room are left out, the last ones first.
pub(crate) fn line(width: usize, paint: Paint, lead: &str, name: &str, parts: &[String]) -> String {
    let lead_width = measure_text_width(lead);
    let least = measure_text_width(name).min(NAME);
    let kept = fitting(width.saturating_sub(lead_width + least), parts);
    let taken: usize = kept.iter().map(|part| GAP.len() + measure_text_width(part)).sum();
    let name = shortened(name, width.saturating_sub(lead_width + taken));
    let mut text = format!("{lead}{}", paint.name(&name));
    kept.iter().for_each(|part| text.extend([GAP, part]));
    text
}

/// A bar and parts, the same way: the bar has what they leave.
pub(crate) fn bar(width: usize, paint: Paint, (done, total): (u64, u64), parts: &[String]) -> String {
    let frame = GAP.len() + 2;
    let kept = fitting(width.saturating_sub(frame + BAR.0), parts);
    let taken: usize = kept.iter().map(|part| GAP.len() + measure_text_width(part)).sum();
    let room = width.saturating_sub(frame + taken).min(BAR.1);
    let ratio = u128::from(done.min(total)) * room as u128 / u128::from(total.max(1));
    let filled = usize::try_from(ratio).unwrap_or(room).min(room);
    let head = if filled < room { ">" } else { "" };
    let blank = " ".repeat(room - filled - head.len());
    let mut text = format!("{GAP}[{}{blank}]", paint.done(&format!("{}{head}", "=".repeat(filled))));
    kept.iter().for_each(|part| text.extend([GAP, part]));
    text
}

/// Those that have lines of their own on a screen of so many, `most` at most and without `others`; and the rest, which has one.
pub(crate) fn own_lines<T>(all: &[T], height: usize, others: usize, most: usize) -> (&[T], &[T]) {
    let most = height.saturating_sub(others).clamp(1, most);
    // A line for one other says less than its own.
    all.split_at(if all.len() <= most + 1 { all.len() } else { most })
}

fn fitting(room: usize, parts: &[String]) -> &[String] {
    let mut used = 0;
    let fits = |part: &&String| {
        used += GAP.len() + measure_text_width(part);
        used <= room
    };
    &parts[..parts.iter().take_while(fits).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_lose_their_middle() {
        assert_eq!(shortened("papers/one.pdf", 14), "papers/one.pdf");
        assert_eq!(shortened("papers/one.pdf", 9), "pape….pdf");
        assert_eq!([0, 1, 2].map(|most| shortened("abc", most)), ["", "…", "a…"]);
        assert_eq!(shortened("日本語日本語", 7), "日…語", "a wide character has room or not");
        assert!((0..12).all(|most| measure_text_width(&shortened("日本語日本語", most)) <= most));
    }

    #[test]
    fn lines_are_broken_at_blanks_and_commands_are_not() {
        let text = "anna offers a.txt (1 file, 9 B): `qshare inbox accept 1` or `qshare inbox decline 1`; message: hi";
        let of = |width| wrapped(text, width);
        assert_eq!(of(200), text);
        assert_eq!(
            of(50),
            "anna offers a.txt (1 file, 9 B):\n`qshare inbox accept 1` or\n`qshare inbox decline 1`; message: hi"
        );
        assert_eq!(wrapped("say `qshare inbox accept 1` now", 12), "say `qshare\ninbox accept\n1` now");
        assert_eq!(wrapped("one ` alone and\n  qshare get a b c", 8), "one `\nalone\nand\n  qshare get a b c");
        assert_eq!(wrapped("日本語 日本語", 7), "日本語\n日本語");
        assert!((1..120).all(|width| of(width).replace('\n', " ") == text));
        assert!((24..120).all(|width| of(width).lines().all(|line| measure_text_width(line) <= width)));
    }

    #[test]
    fn the_last_component_of_a_path_stays_while_there_is_room() {
        let of = |most| path("papers/physics/one-two.pdf", most);
        assert_eq!(
            [of(26), of(25), of(14)],
            ["papers/physics/one-two.pdf", "papers/physi…/one-two.pdf", "p…/one-two.pdf"]
        );
        assert_eq!([of(13), path("one-two.pdf", 7)], ["papers…wo.pdf", "one…pdf"]);
        assert!((0..30).all(|most| measure_text_width(&of(most)) <= most));
    }

    #[test]
    fn parts_drop_out_before_a_name_is_shorter_than_it_may_be() {
        let (paint, parts) = (Paint::default(), parts(&["1 of 2 GiB", "file 1 of 3", "42 s"]));
        let of = |width| line(width, paint, "- ", "papers/physics/one.pdf", &parts);
        assert_eq!(of(60), "- papers/physics/one.pdf  1 of 2 GiB  file 1 of 3  42 s");
        assert_eq!(of(50), "- papers/p…/one.pdf  1 of 2 GiB  file 1 of 3  42 s");
        assert_eq!(of(48), "- papers/phy…cs/one.pdf  1 of 2 GiB  file 1 of 3");
        assert_eq!(of(40), "- papers/physics/one.pdf  1 of 2 GiB");
        assert_eq!(of(30), "- papers/p…one.pdf  1 of 2 GiB");
        assert_eq!(of(10), "- pape…pdf");
    }

    #[test]
    fn a_bar_has_what_its_parts_leave() {
        let (paint, parts) = (Paint::default(), parts(&["50 %", "1 MiB/s", "9 s left"]));
        assert_eq!(bar(40, paint, (1, 2), &parts), "  [=====>     ]  50 %  1 MiB/s  9 s left");
        assert_eq!(bar(38, paint, (1, 2), &parts), "  [=========>         ]  50 %  1 MiB/s");
        assert_eq!(bar(20, paint, (2, 2), &parts), "  [==========]  50 %");
        assert_eq!(bar(20, paint, (0, 0), &parts), "  [>         ]  50 %");
        assert_eq!(bar(3, paint, (1, 2), &parts), "  []", "a width that is none");
    }

    #[test]
    fn every_line_fits_whatever_the_width() {
        let parts = parts(&["100 %", "999.9 MiB/s", "59 m 59 s left"]);
        for width in 16..200 {
            let bar = bar(width, Paint::new(true), (7, 9), &parts);
            assert!(
                measure_text_width(&bar) <= width && (width > 80 || measure_text_width(&bar) > width - 12),
                "{bar}"
            );
            assert!(measure_text_width(&line(width, Paint::new(true), "", &"n".repeat(99), &parts)) <= width);
        }
    }

    #[test]
    fn colours_are_there_or_not() {
        assert_eq!(Paint::default().name("x"), "x");
        assert_eq!(Paint::new(true).name("x"), "\x1b[1mx\x1b[0m");
    }
}
