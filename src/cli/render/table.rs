//! Aligned columns for people, bounded to a width.
//! Invariant: no cell holds a control, bidirectional or zero-width character, whatever was put in.

use std::collections::HashSet;

use console::{measure_text_width, truncate_str};

use crate::cli::render::fit;
use crate::model::{ContentId, NodeId, Shown};

const GAP: &str = "  ";
/// No flexible column is made narrower than this; rather its last column goes to a line of its own.
const NARROWEST: usize = 20;
/// The same of a table whose other columns matter as much.
const NARROWER: usize = 12;
/// How much of a content id and of a node id stays: a beginning by which they can be named.
const SHORT: [(usize, usize); 2] = [(ContentId::TEXT_LEN, 12), (NodeId::TEXT_LEN, 8)];

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// To the left; the column whose end is cut when the width does not suffice.
    Flexible,
    /// To the left, whole ids; only their beginnings where the width does not suffice.
    Id,
    /// To the left.
    Left,
    /// As a flexible one, but of names and paths: the middle is cut, as ends tell them apart.
    Path,
    /// To the right.
    Right,
    /// To the left; left out where the width does not suffice, the last such column first.
    Spare,
    /// The same to the right.
    SpareRight,
}

/// Rows of cells under a heading.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    narrowest: usize,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), narrowest: NARROWEST }
    }

    /// A table of rows with one cell for each column.
    pub(crate) fn of<S: AsRef<str>>(
        columns: &[(&'static str, Align)],
        rows: impl IntoIterator<Item = impl IntoIterator<Item = S>>,
    ) -> Self {
        let mut table = Self::new(columns);
        rows.into_iter().for_each(|cells| table.row(cells));
        table
    }

    /// Adds a row with one cell for each column.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| Shown(cell.as_ref()).to_string()).collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The same, whose flexible column gives way further before another one goes below.
    pub(crate) fn narrow(self) -> Self {
        Self { narrowest: NARROWER, ..self }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Without the column of this heading where it has nothing to say.
    pub(crate) fn without_empty(self, column: (&str, Align)) -> Self {
        let place = self.columns.iter().position(|(heading, _)| *heading == column.0);
        match place.filter(|place| self.rows.iter().all(|row| row[*place].is_empty())) {
            Some(place) => self.without(place),
            None => self,
        }
    }

    /// With the number of each row before it.
    pub(crate) fn numbered(mut self) -> Self {
        self.columns.insert(0, ("", Align::Right));
        (1..).zip(&mut self.rows).for_each(|(number, row)| row.insert(0, format!("{number}")));
        self
    }

    /// The lines, each ended; never wider than `width` if there is one, unless the fixed columns are.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        match width.filter(|width| self.width() > *width) {
            Some(width) => self.with_short_ids().fitted(width),
            None => self.lines(&self.naturals(), None),
        }
    }

    fn with_short_ids(&self) -> Self {
        let mut short = self.clone();
        for (c, _) in self.columns.iter().enumerate().filter(|(_, (_, align))| *align == Align::Id) {
            short.rows.iter_mut().for_each(|row| shorten(&mut row[c]));
            if short.distinct(c) < self.distinct(c) {
                // What begins alike, as a lie or by chance, is told apart.
                short.rows.iter_mut().zip(&self.rows).for_each(|(row, whole)| row[c].clone_from(&whole[c]));
            }
        }
        short
    }

    fn distinct(&self, column: usize) -> usize {
        self.rows.iter().map(|row| &row[column]).collect::<HashSet<_>>().len()
    }

    /// The flexible column gives way, then spare ones are left out, then the last column goes below.
    fn fitted(&self, width: usize) -> String {
        let natural = self.naturals();
        let over = self.width().saturating_sub(width);
        let flexible = self.columns.iter().position(|(_, align)| matches!(align, Align::Flexible | Align::Path));
        let narrowest = flexible.map_or(0, |flexible| self.narrowest.min(natural[flexible]));
        let mut widths = natural.clone();
        if let Some(flexible) = flexible.filter(|flexible| natural[*flexible] >= over + narrowest) {
            widths[flexible] -= over;
            return self.lines(&widths, None);
        }
        let is_spare = |(_, align): &(&str, Align)| matches!(align, Align::Spare | Align::SpareRight);
        if let Some(spare) = self.columns.iter().rposition(is_spare).filter(|_| over > 0) {
            return self.without(spare).fitted(width);
        }
        let Some(flexible) = flexible.filter(|_| over > 0) else { return self.lines(&natural, None) };
        let last = natural.len() - 1;
        let over = over.saturating_sub(natural[last] + GAP.len());
        widths[flexible] = natural[flexible].saturating_sub(over).max(narrowest);
        self.lines(&widths, Some(last))
    }

    fn without(&self, column: usize) -> Self {
        let mut fewer = self.clone();
        fewer.columns.remove(column);
        fewer.rows.iter_mut().for_each(|row| drop(row.remove(column)));
        fewer
    }

    /// How wide it is where nothing bounds it.
    pub(crate) fn width(&self) -> usize {
        self.naturals().iter().sum::<usize>() + GAP.len() * self.columns.len().saturating_sub(1)
    }

    fn naturals(&self) -> Vec<usize> {
        (0..self.columns.len()).map(|c| self.natural(c)).collect()
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

/// Leaves of an id what suffices to name it.
fn shorten(cell: &mut String) {
    let short = SHORT.iter().find(|(whole, _)| cell.len() == *whole && cell.bytes().all(|b| b.is_ascii_alphanumeric()));
    if let Some((_, short)) = short {
        cell.truncate(*short);
    }
}

fn pad(line: &mut String, cell: &str, width: usize, align: Align) {
    let cell = match align {
        Align::Path => fit::path(cell, width),
        _ => truncate_str(cell, width, "…").into_owned(),
    };
    let blank = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
    match align {
        Align::Flexible | Align::Id | Align::Left | Align::Path | Align::Spare => line.extend([cell, blank]),
        Align::Right | Align::SpareRight => line.extend([blank, cell]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Align::Path), ("SIZE", Align::Right), ("ID", Align::Left)]);
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
docs/a-rathe…-a-file.txt      5 B  0123456789abcdef
été                       1.5 KiB  fedcba9876543210
";
        assert_eq!(table().render(Some(51)), text);
    }

    #[test]
    fn where_there_is_no_room_the_last_column_stands_below() {
        let text = "\
NAME                     SIZE
docs/a-rat…-file.txt      5 B
    0123456789abcdef
été                   1.5 KiB
    fedcba9876543210
";
        assert_eq!(table().render(Some(29)), text);
    }

    #[test]
    fn ids_are_whole_only_where_they_have_room_and_spare_columns_give_way() {
        let columns = [
            ("NAME", Align::Path),
            ("KIND", Align::Spare),
            ("SIZE", Align::Right),
            ("VIA", Align::Spare),
            ("ID", Align::Id),
        ];
        let mut table = Table::new(&columns);
        let (content, node) = (ContentId::of(b"x").to_string(), NodeId::of_public_key(b"n").to_string());
        let name = "papers/on-computable-numbers.pdf";
        for id in [&content, &node, "(not hashed yet)", "anna (abcdefgh)"] {
            table.row([name, "collection", "1000.0 MiB", "neighbours", id]);
        }
        assert!(table.render(Some(200)).contains(&content) && table.render(None).contains(&node));
        let text = table.render(Some(80));
        assert!(text.lines().all(|line| measure_text_width(line) <= 80) && text.contains("neighbours"), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with(&format!("  {}", &content[..12]))), "{text}");
        assert!(text.lines().nth(2).is_some_and(|line| line.ends_with(&format!("  {}", &node[..8]))), "{text}");
        assert!(text.contains("(not hashed yet)") && text.contains("anna (abcdefgh)"), "{text}");
        let text = table.render(Some(60));
        assert!(!text.contains("VIA") && !text.contains("KIND") && text.contains("  1000.0 MiB  "), "{text}");
        let text = table.render(Some(40));
        assert!(text.lines().all(|line| measure_text_width(line) <= 40), "{text}");
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
