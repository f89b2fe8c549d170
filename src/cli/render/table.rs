//! Aligned columns for people, bounded to a width.
//! Invariant: no cell holds a control, bidirectional or zero-width character, whatever was put in.

use console::{measure_text_width, truncate_str};

use crate::model::Shown;

const GAP: &str = "  ";
/// No flexible column is made narrower than this; rather its last column goes to a line of its own.
const NARROWEST: usize = 24;

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// To the left; the column that is cut when the width does not suffice.
    Flexible,
    /// To the left.
    Left,
    /// To the right.
    Right,
}

/// Rows of cells under a heading.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| Shown(cell.as_ref()).to_string()).collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, each ended; never wider than `width` if there is one, unless the fixed columns are.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let natural: Vec<usize> = (0..self.columns.len()).map(|c| self.natural(c)).collect();
        let total = natural.iter().sum::<usize>() + GAP.len() * natural.len().saturating_sub(1);
        let over = width.map_or(0, |width| total.saturating_sub(width));
        if over == 0 {
            return self.lines(&natural, None);
        }
        let flexible = self.columns.iter().position(|(_, align)| *align == Align::Flexible);
        let Some(flexible) = flexible else { return self.lines(&natural, None) };
        let mut widths = natural.clone();
        if natural[flexible] >= over + NARROWEST.min(natural[flexible]) {
            widths[flexible] -= over;
            return self.lines(&widths, None);
        }
        let last = natural.len() - 1;
        let over = over.saturating_sub(natural[last] + GAP.len());
        widths[flexible] = natural[flexible].saturating_sub(over).max(NARROWEST.min(natural[flexible]));
        self.lines(&widths, Some(last))
    }

    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| measure_text_width(&row[column]));
        cells.chain([self.columns[column].0.len()]).max().unwrap_or(0)
    }

    /// `below`: that column stands indented on a line of its own under each row.
    fn lines(&self, widths: &[usize], below: Option<usize>) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let mut text = String::new();
        for (r, row) in std::iter::once(&headings).chain(&self.rows).enumerate() {
            let mut line = String::new();
            for (c, cell) in row.iter().enumerate().filter(|(c, _)| Some(*c) != below) {
                if c > 0 {
                    line.push_str(GAP);
                }
                pad(&mut line, cell, widths[c], self.columns[c].1);
            }
            text.push_str(line.trim_end());
            text.push('\n');
            if let Some(cell) = below.filter(|_| r > 0).map(|c| &row[c]) {
                text.extend([GAP, GAP, cell, "\n"]);
            }
        }
        text
    }
}

fn pad(line: &mut String, cell: &str, width: usize, align: Align) {
    let cell = truncate_str(cell, width, "…");
    let blank = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
    match align {
        Align::Flexible | Align::Left => line.extend([cell.as_ref(), &blank]),
        Align::Right => line.extend([blank.as_str(), &cell]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Align::Flexible), ("SIZE", Align::Right), ("ID", Align::Left)]);
        table.row(["docs/a-rather-long-name-of-a-file.txt", "5 B", "0123456789abcdef"]);
        table.row(["été", "1.5 KiB", "fedcba9876543210"]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        let text = "\
NAME                                      SIZE  ID
docs/a-rather-long-name-of-a-file.txt      5 B  0123456789abcdef
été                                    1.5 KiB  fedcba9876543210
";
        assert_eq!(table().render(None), text);
        assert_eq!(table().render(Some(64)), text);
    }

    #[test]
    fn the_flexible_column_is_cut_to_the_width() {
        let text = "\
NAME                         SIZE  ID
docs/a-rather-long-name…      5 B  0123456789abcdef
été                       1.5 KiB  fedcba9876543210
";
        assert_eq!(table().render(Some(51)), text);
    }

    #[test]
    fn where_there_is_no_room_the_last_column_stands_below() {
        let text = "\
NAME                         SIZE
docs/a-rather-long-name…      5 B
    0123456789abcdef
été                       1.5 KiB
    fedcba9876543210
";
        assert_eq!(table().render(Some(30)), text);
    }

    #[test]
    fn hostile_cells_move_no_terminal() {
        let mut table = Table::new(&[("NAME", Align::Flexible), ("ADDRESS", Align::Left)]);
        table.row(["a\u{1b}[2J\r\n\u{9b}31m\u{202e}b\u{200b}", "\u{7}x"]);
        let text = table.render(Some(40));
        assert!(text.chars().all(|c| c == '\n' || !crate::model::text::shown::is_moving(c)), "{text:?}");
        assert_eq!(text.lines().count(), 2);
    }
}
