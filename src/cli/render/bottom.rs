//! The bottom lines of a terminal, which are drawn again and again: what indicatif draws on.
//! Invariant: a line has one row, and nothing of what was drawn before is left behind, also where the terminal has another
//! width now: terminals that have become narrower wrap what stands there. Not responsible for what is drawn.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use console::{Term, measure_text_width, truncate_str};
use indicatif::TermLike;

/// Standard error, drawn on from its last line up.
#[derive(Debug)]
pub(super) struct Bottom {
    term: Term,
    page: Mutex<Page>,
}

/// What stands there, and what is to stand there next.
#[derive(Debug, Default)]
struct Page {
    /// indicatif writes each line in two pieces: its text, and blanks up to the edge.
    pieces: Vec<String>,
    /// The widths of the lines that stand there; the cursor is below the last of them.
    drawn: Vec<usize>,
}

impl Page {
    /// What to send to a terminal of so many columns, so that the new lines stand where the former ones did.
    fn turn(&mut self, columns: usize) -> String {
        let most = columns.saturating_sub(1);
        let pieces = std::mem::take(&mut self.pieces);
        let lines: Vec<_> = pieces.chunks(2).map(|line| truncate_str(&line[0], most, "…")).collect();
        let rows: usize = self.drawn.iter().map(|width| width.max(&1).div_ceil(columns.max(1))).sum();
        // Rows that are only written over stay joined, in some terminals, to what they were wrapped to.
        let mut text = if rows > 0 { format!("\r\x1b[{rows}A\x1b[J") } else { String::new() };
        lines.iter().for_each(|line| text.extend([line, "\r\n"]));
        self.drawn = lines.iter().map(|line| measure_text_width(line)).collect();
        text
    }
}

impl Bottom {
    pub(super) fn new() -> Self {
        Self { term: Term::stderr(), page: Mutex::default() }
    }

    fn page<T>(&self, change: impl FnOnce(&mut Page) -> T) -> T {
        change(&mut self.page.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TermLike for Bottom {
    /// One less than there are: a character in the last column makes some terminals begin another row.
    fn width(&self) -> u16 {
        self.term.size().1.saturating_sub(1)
    }

    /// The cursor has a row of its own.
    fn height(&self) -> u16 {
        self.term.size().0.saturating_sub(1)
    }

    // Where the former lines are is known here better.
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.page(|page| page.pieces.push(text.to_owned()));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let columns = usize::from(self.term.size().1);
        let text = self.page(|page| page.turn(columns));
        io::stderr().lock().write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::*;

    fn drawn(page: &mut Page, lines: &[&str], columns: usize) -> String {
        page.pieces = lines.iter().flat_map(|line| [(*line).to_owned(), "  ".to_owned()]).collect();
        page.turn(columns)
    }

    #[test]
    fn new_lines_stand_where_the_former_ones_did() {
        let mut page = Page::default();
        assert_eq!(drawn(&mut page, &["ab", "cde"], 10), "ab\r\ncde\r\n");
        assert_eq!(drawn(&mut page, &["x"], 10), "\r\x1b[2A\x1b[Jx\r\n");
        assert_eq!(drawn(&mut page, &[], 10), "\r\x1b[1A\x1b[J");
        assert_eq!(drawn(&mut page, &[], 10), "", "what is not there is not erased");
    }

    #[test]
    fn what_a_narrower_terminal_has_wrapped_is_erased_whole_and_nothing_wraps_anew() {
        let mut page = Page::default();
        drawn(&mut page, &["0123456789012345678", "", "short"], 20);
        // Three rows of the first, one of each other.
        assert_eq!(drawn(&mut page, &["0123456789"], 8), "\r\x1b[5A\x1b[J012345…\r\n");
        assert_eq!(drawn(&mut page, &[], 80), "\r\x1b[1A\x1b[J");
    }

    /// indicatif's pieces, written down.
    #[derive(Debug, Default)]
    struct Paper(Arc<Mutex<(Page, String)>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            30
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("no panic").0.pieces.push(text.to_owned());
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            let mut paper = self.0.lock().expect("no panic");
            paper.1 = paper.0.turn(31);
            Ok(())
        }
    }

    #[test]
    fn indicatif_writes_each_line_in_two_pieces() {
        let paper: Arc<Mutex<(Page, String)>> = Arc::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(Paper(Arc::clone(&paper)))));
        let style = || ProgressStyle::with_template("{msg}").expect("a template");
        let [one, two] = [(); 2].map(|()| bars.add(ProgressBar::new_spinner().with_style(style())));
        one.set_message("a\nbc");
        two.set_message("a line that fills all 30 of it");
        let text = paper.lock().expect("no panic").1.clone();
        assert!(text.ends_with("a\r\nbc\r\na line that fills all 30 of it\r\n"), "{text:?}");
        bars.suspend(|| assert_eq!(paper.lock().expect("no panic").1, "\r\x1b[3A\x1b[J"));
    }
}
