//! Where the lines of a shell come from: somebody who types at a terminal, with an editor, completion and a history; or a pipe.
//! Invariant: it is read on a thread of its own, and of a terminal only while a line is wanted: what runs may be typed to then.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use tokio::sync::mpsc;

use super::complete::Completing;
use crate::cli::context::within::Numbers;
use crate::io::home::secret;

/// Bytes of a line at most.
const LONGEST: u64 = 1 << 20;
/// Lines of the history, and bytes of one.
const KEPT: (usize, usize) = (1000, 4096);
/// Bytes of a history that is read: nobody has typed more.
const READ: u64 = 8 << 20;
/// What an empty one begins with.
const EMPTY: &[u8] = b"#V2\n";

/// What came.
pub(super) enum Typed {
    /// The end.
    End,
    /// It cannot be read.
    Failed(io::Error),
    Line(Vec<u8>),
    /// A line that was given up.
    Nothing,
    TooLong,
}

/// Who reads lines.
pub(super) struct Reader {
    asks: mpsc::Sender<()>,
    typed: mpsc::Receiver<Typed>,
    /// A line is being read.
    asked: bool,
    /// Lines that came together.
    waiting: VecDeque<Vec<u8>>,
}

impl Reader {
    /// Reads standard input as it is.
    pub(super) fn plain() -> Self {
        Self::start(|| {
            let mut input = io::stdin().lock();
            move || plain(&mut input)
        })
    }

    /// An editor, and what writes above it. None where the terminal takes none.
    pub(super) fn editor(
        home: &Path,
        prompt: &'static str,
        numbers: Numbers,
    ) -> Option<(Self, impl FnMut(String) + Send + use<>)> {
        let mut editor = editor(home, numbers).ok()?;
        let mut printer = editor.create_external_printer().ok()?;
        let history = History::of(home, &mut editor);
        let reader = Self::start(move || move || edit(&mut editor, prompt, history.as_ref()));
        // A terminal that has gone takes nothing any more, and nobody is left to tell.
        Some((reader, move |lines| drop(printer.print(lines))))
    }

    fn start<R: FnMut() -> Typed>(make: impl FnOnce() -> R + Send + 'static) -> Self {
        let (asks, mut asked) = mpsc::channel::<()>(1);
        let (to, typed) = mpsc::channel(1);
        std::thread::spawn(move || {
            let mut read = make();
            while asked.blocking_recv().is_some() && to.blocking_send(read()).is_ok() {}
        });
        Self { asks, typed, asked: false, waiting: VecDeque::new() }
    }

    /// The next line; may be given up and asked for again.
    pub(super) async fn next(&mut self) -> Typed {
        if let Some(line) = self.waiting.pop_front() {
            return Typed::Line(line);
        }
        if !self.asked {
            self.asked = self.asks.send(()).await.is_ok();
        }
        let typed = self.typed.recv().await.unwrap_or(Typed::End);
        self.asked = false;
        match typed {
            // What was pasted may be several.
            Typed::Line(line) => {
                self.waiting = line.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                Typed::Line(self.waiting.pop_front().unwrap_or_default())
            }
            other => other,
        }
    }
}

/// A line of whatever bytes, of which only so many are held.
fn plain(input: &mut impl BufRead) -> Typed {
    let mut line = Vec::new();
    match input.take(LONGEST).read_until(b'\n', &mut line) {
        Err(error) => Typed::Failed(error),
        Ok(0) => Typed::End,
        Ok(_) if line.ends_with(b"\n") => {
            line.pop();
            Typed::Line(line)
        }
        Ok(read) if (read as u64) < LONGEST => Typed::Line(line),
        Ok(_) => input.skip_until(b'\n').map_or_else(Typed::Failed, |_| Typed::TooLong),
    }
}

fn editor(home: &Path, numbers: Numbers) -> rustyline::Result<Editor<Completing, FileHistory>> {
    let config = Config::builder()
        .max_history_size(KEPT.0)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Completing { home: home.to_owned(), numbers }));
    Ok(editor)
}

fn edit(editor: &mut Editor<Completing, FileHistory>, prompt: &str, history: Option<&History>) -> Typed {
    match editor.readline(prompt) {
        Ok(line) => {
            if let Some(history) = history.filter(|_| line.len() <= KEPT.1) {
                history.add(editor, &line);
            }
            Typed::Line(line.into_bytes())
        }
        Err(ReadlineError::Eof) => Typed::End,
        Err(ReadlineError::Interrupted) => Typed::Nothing,
        Err(ReadlineError::Io(error)) => Typed::Failed(error),
        Err(error) => Typed::Failed(io::Error::other(error.to_string())),
    }
}

/// What was typed in this home. Each line is appended under a lock, so that two shells lose nothing of each other's.
struct History(PathBuf);

impl History {
    /// None where it cannot be kept.
    fn of(home: &Path, editor: &mut Editor<Completing, FileHistory>) -> Option<Self> {
        let path = home.join("history");
        // Made by us, so that nobody else may ever read it, and the editor need not change how files are made.
        secret::create_dir(home).ok()?;
        if !path.exists() {
            secret::read_or_create(&path, || Ok(EMPTY.to_vec())).ok()?;
        }
        let is_ours = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= READ);
        is_ours.then(|| {
            if let Err(error) = editor.load_history(&path) {
                tracing::info!(%error, "the history of earlier shells cannot be read");
            }
            Self(path)
        })
    }

    fn add(&self, editor: &mut Editor<Completing, FileHistory>, line: &str) {
        let added = editor.add_history_entry(line);
        if let Err(error) = added.and_then(|_| editor.append_history(&self.0)) {
            tracing::info!(%error, "the history cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_bytes_are_read_and_one_that_never_ends_is_not_held() {
        let long = usize::try_from(LONGEST).expect("small") + 9;
        let text = [b"a\xff\n\n".as_slice(), &vec![b'x'; long], b"\nlast"].concat();
        let mut input = text.as_slice();
        let mut lines = Vec::new();
        loop {
            match plain(&mut input) {
                Typed::Line(line) => lines.push(line),
                Typed::TooLong => lines.push(b"(too long)".to_vec()),
                Typed::End => break,
                Typed::Failed(_) | Typed::Nothing => panic!("a slice can be read"),
            }
        }
        assert_eq!(lines, [b"a\xff".to_vec(), Vec::new(), b"(too long)".to_vec(), b"last".to_vec()]);
    }
}
