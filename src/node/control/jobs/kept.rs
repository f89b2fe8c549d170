//! What is kept of a job. Invariant: what a later version of qshare cannot understand of an error does not cost the job.

use serde::{Deserialize, Serialize};

use crate::logic::limits::jobs::JobState;
use crate::model::{Cause, ContentId, SafePath};
use crate::node::error::Error;
use crate::node::inner::orders::JobWish;
use crate::node::types::{Outcome, Progress, What};

/// What is kept of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) wish: JobWish,
    pub(super) state: JobState,
    /// What it is called, once known.
    pub(super) name: Option<SafePath>,
    /// Bytes proven, when it was kept last.
    pub(super) have: u64,
    /// Bytes wanted; 0 while unknown.
    pub(super) total: u64,
    /// Why it failed last.
    pub(super) error: Option<Error>,
}

/// The same in a file: MessagePack with names.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    wish: JobWish,
    state: JobState,
    name: Option<SafePath>,
    have: u64,
    total: u64,
    /// MessagePack in its turn.
    error: Vec<u8>,
}

impl Kept {
    pub(super) const fn new(wish: JobWish) -> Self {
        Self { wish, state: JobState::Waiting, name: None, have: 0, total: 0, error: None }
    }

    /// Takes over how far a transfer is. From now on it is that content, whatever the words may match later.
    pub(super) fn note(&mut self, now: Progress) {
        if let (Some(id), What::Words(_)) = (now.id, &self.wish.request.what) {
            self.wish.request.choose = Some(id);
        }
        (self.name, self.have, self.total) = (now.name.or_else(|| self.name.take()), now.bytes, now.total);
    }

    /// What is fetched, once that is known.
    pub(super) fn content(&self) -> Option<ContentId> {
        if let What::Id(id) = self.wish.request.what { Some(id) } else { self.wish.request.choose }
    }

    /// It is there.
    pub(super) fn ended(&mut self, outcome: &Outcome) {
        (self.name, self.have, self.total) = (Some(outcome.name.clone()), outcome.bytes, outcome.bytes);
    }

    /// What a file holds.
    ///
    /// # Errors
    /// When it is cut off, or of a version that kept something else.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Cause> {
        let read = rmp_serde::from_slice(bytes).map_err(|error| Cause::from(std::io::Error::other(error.to_string())));
        let File { wish, state, name, have, total, error } = read?;
        Ok(Self { wish, state, name, have, total, error: rmp_serde::from_slice(&error).ok() })
    }

    /// What its file is to hold.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { wish, state, name, have, total, error } = self.clone();
        let error = error.and_then(|error| rmp_serde::to_vec_named(&error).ok()).unwrap_or_default();
        // Plain values always can be.
        rmp_serde::to_vec_named(&File { wish, state, name, have, total, error }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::receive::landing::Landing;
    use crate::model::Query;
    use crate::node::types::{GetRequest, Places};

    fn kept() -> Kept {
        let words = Query::parse(&["some", "words"]).expect("words");
        let request = GetRequest::new(What::Words(words)).output(std::path::PathBuf::from("/srv/in/"));
        let wish = JobWish { request, places: Places::default(), landing: Landing::default() };
        Kept { error: Some(Error::NoFriend { name: "anna".to_owned() }), have: 1, total: 2, ..Kept::new(wish) }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let (kept, bytes) = (kept(), kept().bytes());
        assert_eq!(Kept::read(&bytes).expect("read"), kept);
        assert!((0..bytes.len()).all(|len| Kept::read(&bytes[..len]).is_err()));
    }

    #[test]
    fn an_error_of_another_version_costs_only_itself() {
        let Kept { wish, state, .. } = kept();
        let error = rmp_serde::to_vec_named("something new").expect("written");
        let file = File { wish: wish.clone(), state, name: None, have: 3, total: 4, error };
        let read = Kept::read(&rmp_serde::to_vec_named(&file).expect("written")).expect("read");
        assert_eq!(read, Kept { have: 3, total: 4, ..Kept::new(wish) });
    }

    #[test]
    fn words_mean_the_same_content_from_its_beginning_on() {
        let mut kept = kept();
        let id = ContentId::of(b"x");
        kept.note(Progress { id: Some(id), bytes: 5, total: 9, ..Progress::default() });
        assert_eq!((kept.wish.request.choose, kept.have, kept.total), (Some(id), 5, 9));
    }
}
