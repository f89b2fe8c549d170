//! Contents as people name them: by an id, or by its beginning, which this home was shown the whole of or which is looked for.
//! Not responsible for words: the node decides what they mean.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::io::home::seen::{Seen, SeenContent, is_prefix};
use crate::model::{ContentId, Hit, Query, SafePath, Shown};
use crate::node::{Error, What};

impl Context {
    /// What is meant where each word is an id or the beginning of one; none where words are looked for. A beginning that was
    /// not shown here is looked for like words.
    ///
    /// # Errors
    /// When a word is the beginning of several, or some of them are ids and others cannot be.
    pub(crate) fn ids_of(&self, words: &[String]) -> Result<Option<Vec<What>>, Failure> {
        let all: Vec<Option<What>> = words.iter().map(|word| self.id_of(word)).collect::<Result<_, _>>()?;
        match words.iter().zip(&all).find(|(_, what)| what.is_none()) {
            Some((word, _)) if all.iter().any(|what| matches!(what, Some(What::Id(_)))) => {
                Err(Failure::Nothing(format!("`{}` is not an id: give ids alone, or words alone", Shown(word))))
            }
            _ => Ok(all.into_iter().collect()),
        }
    }

    fn id_of(&self, word: &str) -> Result<Option<What>, Failure> {
        if let Ok(id) = word.parse() {
            return Ok(Some(What::Id(id)));
        }
        if !is_prefix(word) {
            return Ok(None);
        }
        let seen = Seen::at(&self.settings.home).with_prefix(word);
        if let [SeenContent { id, name }] = seen.as_slice() {
            self.output.remark(&format!("qshare: {word} is {id}, {}", Shown(name.as_str())));
        }
        match the_one(word, &seen)? {
            None => Ok(Some(What::Words(query(&[word.to_owned()])?))),
            Some(id) => Ok(Some(What::Id(id))),
        }
    }

    /// As what this home was shown a content.
    pub(crate) fn name_of(&self, id: ContentId) -> Option<SafePath> {
        let seen = Seen::at(&self.settings.home).with_prefix(&id.to_string());
        seen.into_iter().next().map(|content| content.name)
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

fn the_one(word: &str, seen: &[SeenContent]) -> Result<Option<ContentId>, Failure> {
    match seen {
        [] => Ok(None),
        [one] => Ok(Some(one.id)),
        many => {
            let all: Vec<String> =
                many.iter().map(|one| format!("{} ({})", one.id, Shown(one.name.as_str()))).collect();
            let all = all.join(", ");
            Err(Failure::Ambiguous(format!("the id prefix `{word}` fits {all}: give more of its characters")))
        }
    }
}

/// The query that words are. They may be written as paths are: `./papers/` is `papers`.
///
/// # Errors
/// When they are none.
pub(crate) fn query(words: &[String]) -> Result<Query, Failure> {
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
    fn a_beginning_that_fits_several_is_never_picked() {
        let content = |text: &str| SeenContent {
            id: ContentId::of(text.as_bytes()),
            name: SafePath::parse(text).expect("a name"),
        };
        let all = [content("a"), content("b")];
        assert_eq!(the_one("x", &[]).expect("none"), None);
        assert_eq!(the_one("x", &all[..1]).expect("one"), Some(all[0].id));
        let failure = the_one("x", &all).expect_err("two");
        assert_eq!(failure.exit().code(), 4);
        assert!(failure.to_string().contains(&format!("{} (b)", all[1].id)), "{failure}");
    }

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
