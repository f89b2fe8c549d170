//! Contents as people name them: by an id, or by its beginning, which is looked for.
//! Not responsible for words: the node decides what they mean.

use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};
use crate::io::home::seen::{Seen, SeenContent, is_prefix};
use crate::model::{ContentId, Hit, Query, SafePath, Shown};
use crate::node::{Error, What};

impl Context {
    /// What is meant where each word is an id or the beginning of one; none where words are looked for. The node decides what a
    /// beginning means.
    ///
    /// # Errors
    /// When some of the words are ids and others cannot be.
    pub(crate) fn ids_of(&self, words: &[String]) -> Result<Option<Vec<What>>> {
        let all: Vec<Option<What>> = words.iter().map(|word| id_of(word)).collect::<Result<_, _>>()?;
        match words.iter().zip(&all).find(|(_, what)| what.is_none()) {
            Some((word, _)) if all.iter().any(|what| matches!(what, Some(What::Id(_)))) => {
                let (id, word) = (words.iter().find(|word| word.parse::<ContentId>().is_ok()), Shown(word));
                let id = id.map_or("", String::as_str);
                Err(Failure::Usage(format!(
                    "`{word}` is not an id and {id} is one: ids and words are not looked for together, so give the ids in a command \
                     of their own, and the words in another"
                )))
            }
            _ => Ok(all.into_iter().collect()),
        }
    }

    /// As what this home was shown the only content that an id, or the beginning of one, fits.
    pub(crate) fn name_of(&self, what: &What) -> Option<SafePath> {
        let beginning = match what {
            What::Id(id) => id.to_string(),
            What::Words(query) => query.words().first().filter(|_| query.id().is_some())?.clone(),
        };
        match <[SeenContent; 1]>::try_from(Seen::at(&self.settings.home).with_prefix(&beginning)) {
            Ok([one]) => Some(one.name),
            Err(_) => None,
        }
    }

    /// Remembers what is shown, the best first: the beginning of its id stands for it from now on.
    pub(crate) async fn remember<'h>(&self, hits: impl IntoIterator<Item = &'h Hit>) {
        self.remember_all(hits.into_iter().filter_map(SeenContent::of).collect()).await;
    }

    /// The same for what is no hit.
    pub(crate) async fn remember_all(&self, contents: Vec<SeenContent>) {
        let seen = Seen::at(&self.settings.home);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || seen.remember(contents)).await {
            tracing::debug!(%error, "what is shown cannot be remembered");
        }
    }
}

fn id_of(word: &str) -> Result<Option<What>> {
    if let Ok(id) = word.parse() {
        return Ok(Some(What::Id(id)));
    }
    is_prefix(word).then(|| Ok(What::Words(query(&[word.to_owned()])?))).transpose()
}

/// The query that words are. They may be written as paths are: `./papers/` is `papers`.
///
/// # Errors
/// When they are none.
pub(crate) fn query(words: &[String]) -> Result<Query> {
    let words: Vec<String> = words.iter().map(|word| plain(word)).collect();
    Ok(Query::parse(&words).map_err(Error::from)?)
}

/// A path without what makes no difference in it.
fn plain(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_written_as_paths() {
        let of = |words: &[&str]| query(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["papers/physics/", "x"]).expect("words").words(), ["papers/physics", "x"]);
        assert_eq!(
            of(&["./papers//physics/.", "...", "v1."]).expect("words").words(),
            ["papers/physics", "...", "v1."]
        );
        assert_eq!(of(&["/"]).expect_err("no word").exit().code(), 2);
    }
}
