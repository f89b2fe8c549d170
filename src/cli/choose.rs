//! What to do when words match several ids: list them, and ask who sits at a terminal.

use std::io::{self, BufRead as _};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::render::hits;
use crate::cli::render::json::Line;
use crate::cli::signals::Signals;
use crate::model::{ContentId, Hit};
use crate::node::Beyond;

/// Lists the candidates as results; beside a result on standard output, on standard error.
pub(crate) fn list(
    context: &Context,
    candidates: &[Hit],
    beyond: Beyond,
    stdout_is_taken: bool,
) -> Result<(), Failure> {
    let output = &context.output;
    output.emit_all(candidates.iter().map(|hit| Line::hit(hit, None)))?;
    output.emit(&Line::Summary { hits: candidates.len() as u64, beyond })?;
    let table = hits::hits(candidates);
    if stdout_is_taken {
        output.note(table.render(output.error_width()).trim_end());
        return Ok(());
    }
    output.table(&table)
}

/// Asks which one; `None` when the answer is none of them.
pub(crate) async fn ask(
    context: &Context,
    candidates: &[Hit],
    beyond: Beyond,
    signals: &mut Signals,
) -> Result<Option<ContentId>, Failure> {
    context.output.note(hits::numbered(candidates).render(context.output.error_width()).trim_end());
    if beyond != Beyond::default() {
        context.output.note("There are more; more words leave fewer.");
    }
    context.output.note(&format!("Which one? (1-{}, enter for none)", candidates.len()));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?,
        stop = signals.next() => return Err(Failure::Stopped(stop)),
    };
    Ok(chosen(&line, candidates))
}

/// What is not hashed yet has no id and cannot be chosen.
fn chosen(line: &str, candidates: &[Hit]) -> Option<ContentId> {
    let number: usize = line.trim().parse().ok()?;
    candidates.get(number.checked_sub(1)?)?.id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_of_the_list() {
        let id = ContentId::of(b"2");
        let candidates = [Hit::file(None, 1), Hit::file(Some(id), 1)];
        assert_eq!(chosen(" 2\n", &candidates), Some(id));
        for none in ["", "\n", "0", "1", "3", "-1", "x", "99999999999999999999999"] {
            assert_eq!(chosen(none, &candidates), None, "{none:?}");
        }
    }
}
