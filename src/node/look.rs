//! From words or an id to one hit with its id and providers: what is meant, and who has it.

mod answers;
pub(super) mod ask;
pub(super) mod claims;
pub(super) mod find;
pub(super) mod late;
pub(super) mod near;
pub(super) mod own;
mod patience;
pub(super) mod planes;
pub(super) mod reach;
pub(super) mod resolve;
pub(super) mod trials;

use crate::logic::offers::choose::{Choice, choose, directory, having, names_meant, spelled};
use crate::logic::offers::suggest::suggestions;
use crate::logic::offers::tally::Beyond;
use crate::model::query::fold;
use crate::model::{ContentId, FoundHit, Hit, Kind, Plane, Query};
use crate::node::error::{Error, Named, Result, Whom};
use crate::node::look::find::Finder;
use crate::node::look::late::LateAnswers;
use crate::node::look::planes::Rest;
use crate::node::report::Report;
use crate::node::types::{GetRequest, Hits, Phase, What};

/// Hits among which words choose.
const CANDIDATES: u32 = 200;

/// What a request means.
pub(crate) struct Meant {
    /// It, with its id.
    pub(crate) hit: Hit,
    /// What is to be heard beside the transfer.
    pub(crate) late: Option<LateAnswers>,
    /// The directory of it that is meant, folded; all of it where there is none.
    pub(crate) beneath: Option<String>,
}

/// What is meant, before it has an id.
struct Chosen {
    found: FoundHit,
    late: Option<LateAnswers>,
    beneath: Option<String>,
}

impl Chosen {
    /// What has no rival; those who have not answered may have it, too.
    fn known(found: FoundHit, rest: Rest) -> Self {
        let late = Some(LateAnswers::of_known(found.clone(), rest));
        Self { found, late, beneath: None }
    }
}

/// A look under way: who is asked, and who is told how it gets on.
#[derive(Clone, Copy)]
pub(crate) struct Looking<'a> {
    pub(crate) finder: &'a Finder,
    pub(crate) report: &'a Report,
}

impl Looking<'_> {
    /// Finds what the request means; afterwards the hit has an id.
    ///
    /// # Errors
    /// When nothing or several things match, or nobody could be asked.
    pub(crate) async fn look(self, request: &GetRequest) -> Result<Meant> {
        self.report.phase(Phase::Looking);
        let Chosen { mut found, mut late, beneath } = match &request.what {
            What::Id(id) => self.by_id(*id, request.dry_run).await?,
            What::Words(query) => {
                let chosen = self.by_words(query, request.choose).await?;
                let many = request.every && request.choose.is_none() && names_meant(query, &chosen.found.hit).len() > 1;
                if many && chosen.beneath.is_none() {
                    let (what, hits) = (query.words().join(" "), vec![chosen.found.hit]);
                    return Err(Error::Ambiguous { what, hits, beyond: Beyond::default(), beneath: None });
                }
                chosen
            }
        };
        if found.hit.id.is_none() {
            let (with_id, others) = self.resolve(found, request.wait).await?;
            found = with_id;
            late = late.map(|late| late.resolved(found.hit.id, others));
        }
        Ok(Meant { hit: found.hit, late, beneath })
    }

    async fn by_id(self, id: ContentId, all: bool) -> Result<Chosen> {
        // A transfer hears those who have not answered beside it; who only wants to know who has it waits for them.
        let (found, rest) = match all {
            true => (self.finder.locate(id).await?, Rest::default()),
            false => self.finder.locate_first(id).await?,
        };
        let Some(best) = found.hits.iter().max_by_key(|found| found.hit.providers.len()).cloned() else {
            found.warnings.into_iter().for_each(|notice| self.report.warn(notice));
            return Err(Error::NotFound { what: id.to_string(), asked: found.asked, near: Vec::new() });
        };
        let best = self.of_true_claim(best, &found.hits).await;
        self.report.plane(best.plane);
        Ok(Chosen::known(best, rest))
    }

    async fn by_words(self, query: &Query, chosen: Option<ContentId>) -> Result<Chosen> {
        let (mut found, rest) = self.finder.candidates(query, CANDIDATES).await?;
        std::mem::take(&mut found.warnings).into_iter().for_each(|notice| self.report.warn(notice));
        if let Some(one) = found.hits.iter().find(|found| chosen.is_some() && found.hit.id == chosen) {
            self.report.plane(one.plane);
            // A person has seen the rivals.
            let one = self.of_true_claim(one.clone(), &found.hits).await;
            return Ok(Chosen::known(one, rest));
        }
        if let Some(path) = directory(query, &found.hits)
            && let Some(chosen) = self.in_collection((&path, &found), chosen).await?
        {
            return Ok(chosen);
        }
        match self.one_of(query, (found, rest)).await? {
            Some(chosen) => Ok(chosen),
            None => Err(not_found(self.finder, query.words().join(" "), query).await),
        }
    }

    /// The one of the hits that is meant; none where there is no hit.
    async fn one_of(self, query: &Query, (found, rest): (Hits, Rest)) -> Result<Option<Chosen>> {
        let (heard, around) = by_standing(query, found.hits);
        // Where the word of all near counts, and they could not tell all that they know, another one may be meant.
        let is_cut = rest.cut && (query.id().is_some() || heard.iter().all(|found| found.plane != Plane::Tracker));
        let one = match choose(query, &heard) {
            Choice::Ambiguous(all) => {
                let (what, hits) = (query.words().join(" "), all.into_iter().map(|found| found.hit).collect());
                return Err(Error::Ambiguous { what, hits, beyond: found.beyond, beneath: None });
            }
            Choice::Nothing => return Ok(None),
            Choice::One(one) if is_cut => {
                let beyond = Beyond { at_least: true, ..found.beyond };
                let what = query.words().join(" ");
                return Err(Error::Ambiguous { what, hits: vec![one.hit], beyond, beneath: None });
            }
            Choice::One(one) => as_shown(self.finder, query, one).await?,
        };
        let one = self.of_true_claim(one, &heard).await;
        self.report.plane(one.plane);
        let overlay = self.finder.overlay().filter(|_| self.finder.is_open()).cloned();
        let mut late = LateAnswers::of(query.clone(), one.clone(), rest, overlay);
        around.iter().for_each(|found| late.compare(found.plane, std::slice::from_ref(&found.hit), self.report));
        Ok(Some(Chosen { found: one, late: Some(late), beneath: None }))
    }

    /// The collection whose directory a folded path is, the longest name first; none where none has such a name. Of several of that
    /// name it is the one that has the directory, as far as what was found in it is all that there is.
    async fn in_collection(self, (path, inside): (&str, &Hits), chosen: Option<ContentId>) -> Result<Option<Chosen>> {
        for (at, _) in path.rmatch_indices('/') {
            let (name, beneath) = (&path[..at], Some(path[at + 1..].to_owned()));
            let query = Query::parse(&[name])?;
            let (mut found, rest) = self.finder.candidates(&query, CANDIDATES).await?;
            let is_named = |hit: &Hit| hit.names.iter().any(|other| fold(other.as_str()) == name);
            found.hits.retain(|found| found.hit.kind == Kind::Collection && is_named(&found.hit));
            if let Some(one) = found.hits.iter().find(|found| chosen.is_some() && found.hit.id == chosen) {
                self.report.plane(one.plane);
                let one = self.of_true_claim(one.clone(), &found.hits).await;
                return Ok(Some(Chosen { beneath, ..Chosen::known(one, rest) }));
            }
            if inside.beyond == Beyond::default() {
                found.hits = having(path, &inside.hits, found.hits);
            }
            match self.one_of(&query, (found, rest)).await {
                Ok(None) => {}
                Ok(Some(chosen)) => return Ok(Some(Chosen { beneath, ..chosen })),
                Err(Error::Ambiguous { hits, beyond, .. }) => {
                    let beneath = spelled(path, name, &inside.hits);
                    return Err(Error::Ambiguous { what: path.to_owned(), hits, beyond, beneath });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// What is found by the beginning of an id, unless this home was shown another content that begins so: which of them is meant
/// only a person can say.
pub(super) async fn as_shown(finder: &Finder, query: &Query, one: FoundHit) -> Result<FoundHit> {
    let (Some(id), shown) = (one.hit.id, finder.shown(query).await) else { return Ok(one) };
    let Some(other) = shown.into_iter().find(|shown| shown.id != id) else { return Ok(one) };
    let name = one.hit.names.first().map(ToString::to_string).unwrap_or_default();
    Err(Error::OtherThanShown {
        prefix: query.words().join(" "),
        shown: Box::new(Named { id: other.id, name: other.name.to_string() }),
        found: Box::new(Named { id, name }),
    })
}

/// That nothing matches, with what is spelled nearly so.
pub(super) async fn not_found(finder: &Finder, what: String, query: &Query) -> Error {
    let nearly = finder.near(query).await;
    let near = suggestions(query, nearly.as_deref().unwrap_or_default());
    let asked = finder.asked().await;
    Error::NotFound { what, asked: Whom { unfinished: asked.unfinished || nearly.is_none(), ..asked }, near }
}

/// Those among whom is chosen, and the others: where a tracker knows something, the word of those who were named goes before
/// that of the network around. Whoever tells of it, what begins like an id that was given is chosen from.
fn by_standing(query: &Query, hits: Vec<FoundHit>) -> (Vec<FoundHit>, Vec<FoundHit>) {
    let known = hits.iter().any(|found| found.plane == Plane::Tracker);
    let was_named = |found: &FoundHit| matches!(found.plane, Plane::Peer | Plane::Tracker);
    hits.into_iter().partition(|found| !known || was_named(found) || query.means(found.hit.id))
}
