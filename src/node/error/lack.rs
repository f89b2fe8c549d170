//! Why something could not be had, in sentences: what became of each provider, and what to do about it.

use std::fmt;
use std::time::Duration;

use crate::actors::download::Trouble;
use crate::logic::transfer::Why;
use crate::model::{SafePath, Shown, Size};
use crate::wire::Code;

/// Providers that are named one by one.
const NAMED: usize = 3;

/// Why something could not be had from anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lack {
    /// For how long nothing came; none when nobody was left who could give it.
    pub waited: Option<Duration>,
    /// What became of each provider that was known.
    pub providers: Vec<Trouble>,
    /// The first file of a tree that a provider has no longer as it was, and how many there are. The others came.
    pub files: Option<(SafePath, usize)>,
}

impl Lack {
    /// What to do about it: about what is the same for all, else to try again.
    pub(super) fn advice(&self) -> &'static str {
        let all = |is: fn(Why) -> bool| !self.providers.is_empty() && self.providers.iter().all(|one| is(one.why));
        match () {
            () if self.has_changed() => "get it again by its name to fetch it as it is now",
            () if all(Why::denies_by_lack) => "get it again by its name, or name another provider with --from",
            () if all(|why| why == Why::Refused(Code::Forbidden)) => {
                "ask its operator to allow this node, whose id `qshare id` prints"
            }
            () if all(|why| why == Why::Refused(Code::Unreadable)) => {
                "ask its owner to give back the permission to read it, and run the same command again to go on"
            }
            () if all(|why| why == Why::Lied) => "name another provider with --from",
            () => "run the same command again to go on",
        }
    }

    fn has_changed(&self) -> bool {
        let changed = |one: &Trouble| one.why == Why::Changed;
        self.files.is_some() || (self.waited.is_none() && self.providers.iter().any(changed))
    }

    /// The providers, the most telling first.
    fn sorted(&self) -> Vec<&Trouble> {
        let mut providers: Vec<_> = self.providers.iter().collect();
        providers.sort_by_key(|one| (rank(one.why), one.node));
        providers
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(waited) = self.waited {
            let waited = humantime::format_duration(waited);
            let what = if self.providers.is_empty() { "no provider was there" } else { "nothing came" };
            parts.push(format!("{what} for {waited}"));
        } else if self.providers.is_empty() && self.files.is_none() {
            parts.push("nobody who has it is known".to_owned());
        }
        if let Some((first, count)) = &self.files {
            let first = Shown(first.as_str());
            let at = self.sorted().first().map(|one| format!(" at {}", place(one))).unwrap_or_default();
            parts.push(match count {
                0 | 1 => format!("`{first}` has changed{at} while it was fetched"),
                more => format!("`{first}` and {} more have changed{at} while they were fetched", more - 1),
            });
            // Else others, who may come back, have some of it.
            parts.extend(self.waited.is_none().then(|| "the rest is here".to_owned()));
        }
        let told = |one: &&&Trouble| self.files.is_some() && matches!(one.why, Why::Changed | Why::Gone);
        let sorted = self.sorted();
        let others: Vec<_> = sorted.iter().filter(|one| !told(one)).collect();
        parts.extend(others.iter().take(NAMED).map(|one| sentence(one)));
        if others.len() > NAMED {
            parts.push(format!("and {} more", others.len() - NAMED));
        }
        f.write_str(&parts.join(", "))
    }
}

/// How much of it is here, for sentences about what is incomplete.
pub(super) struct Kept(pub(super) u64, pub(super) u64);

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("nothing of it came this time"),
            have => write!(f, "{} of {} are proven and kept", Size(have), Size(self.1)),
        }
    }
}

fn place(one: &Trouble) -> String {
    let short = one.node.short();
    one.addr.map_or_else(|| short.clone(), |addr| format!("{short} ({addr})"))
}

fn sentence(one: &Trouble) -> String {
    let who = place(one);
    match (one.why, &one.error) {
        (Why::Unreachable, Some(error)) => format!("{who} cannot be reached: {}", Shown(&error.to_string())),
        (why, _) => format!("{who} {}", verb(why)),
    }
}

const fn verb(why: Why) -> &'static str {
    match why {
        Why::Busy(_) => "is busy",
        Why::Changed => "has changed its copy meanwhile",
        Why::Crawling => "sends next to nothing",
        Why::Failing => "fails to send it",
        Why::Gone | Why::Refused(Code::NotFound) => "does not offer it any more",
        Why::Hashing(_) => "still hashes its copy",
        Why::Lied => "sent wrong bytes",
        Why::Lost => "is gone, the connection was lost",
        Why::Partial => "has only a part of it",
        Why::Refused(Code::Forbidden) => "does not serve this node",
        Why::Refused(Code::SizeDiffers) => "has it with another size",
        Why::Refused(Code::Closing) => "is stopping",
        Why::Refused(Code::Unreadable) => "may not read its copy any more, the permissions of that have changed",
        Why::Refused(_) => "refused to send it",
        Why::Silent => "sends nothing",
        Why::Unreachable => "cannot be reached",
    }
}

const fn rank(why: Why) -> u8 {
    match why {
        Why::Changed => 0,
        Why::Lied => 1,
        Why::Refused(Code::SizeDiffers) => 2,
        Why::Gone | Why::Refused(Code::NotFound) => 3,
        Why::Refused(_) => 4,
        Why::Hashing(_) => 5,
        Why::Busy(_) => 6,
        Why::Failing => 7,
        Why::Partial => 8,
        Why::Crawling => 9,
        Why::Silent => 10,
        Why::Lost => 11,
        Why::Unreachable => 12,
    }
}

impl Why {
    const fn denies_by_lack(self) -> bool {
        matches!(self, Self::Gone | Self::Refused(Code::NotFound | Code::SizeDiffers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeId;

    fn one(name: &[u8], why: Why) -> Trouble {
        let addr = "10.0.0.1:4917".parse().ok();
        Trouble { node: NodeId::of_public_key(name), addr, why, error: None }
    }

    fn lack(waited: Option<u64>, providers: Vec<Trouble>) -> Lack {
        Lack { waited: waited.map(Duration::from_secs), providers, files: None }
    }

    #[test]
    fn a_known_cause_is_what_is_said() {
        let a = NodeId::of_public_key(b"a").short();
        let changed = lack(None, vec![one(b"a", Why::Changed)]);
        assert_eq!(changed.to_string(), format!("{a} (10.0.0.1:4917) has changed its copy meanwhile"));
        assert!(changed.advice().contains("by its name"));
        let waited = lack(Some(120), vec![one(b"a", Why::Lost)]);
        let text = format!("nothing came for 2m, {a} (10.0.0.1:4917) is gone, the connection was lost");
        assert_eq!(waited.to_string(), text);
        assert!(waited.advice().contains("again to go on"));
        assert_eq!(lack(Some(120), Vec::new()).to_string(), "no provider was there for 2m");
        assert_eq!(lack(None, Vec::new()).to_string(), "nobody who has it is known");
    }

    #[test]
    fn every_cause_has_its_own_words_and_advice_fits_it() {
        let code = Why::Refused;
        let all = [
            Why::Busy(Duration::ZERO),
            Why::Changed,
            Why::Crawling,
            Why::Failing,
            Why::Gone,
            Why::Hashing(Duration::ZERO),
            Why::Lied,
            Why::Lost,
            Why::Partial,
            code(Code::Closing),
            code(Code::Forbidden),
            code(Code::SizeDiffers),
            code(Code::Unreadable),
            code(Code::Unsupported),
            Why::Silent,
            Why::Unreachable,
        ];
        let said: std::collections::BTreeSet<_> = all.iter().map(|why| verb(*why)).collect();
        assert_eq!(said.len(), all.len());
        let advice = |why| lack(None, vec![one(b"a", why)]).advice();
        assert!(advice(code(Code::Forbidden)).contains("operator"));
        assert!(advice(code(Code::Unreadable)).contains("permission"));
        assert!(advice(Why::Lied).contains("--from") && advice(Why::Gone).contains("--from"));
        assert!(advice(Why::Lost).contains("again"));
    }

    #[test]
    fn the_most_telling_comes_first_and_many_are_counted() {
        let mut providers = vec![one(b"a", Why::Unreachable), one(b"b", Why::Lost), one(b"c", Why::Changed)];
        let text = lack(None, providers.clone()).to_string();
        assert!(text.starts_with(&NodeId::of_public_key(b"c").short()), "{text}");
        providers.extend([one(b"d", Why::Lost), one(b"e", Why::Lost)]);
        assert!(lack(None, providers).to_string().ends_with(", and 2 more"));
    }

    #[test]
    fn files_that_changed_are_named() {
        let first = SafePath::parse("docs/c").expect("valid");
        let files = |count| Lack { files: Some((first.clone(), count)), ..lack(None, vec![one(b"a", Why::Changed)]) };
        let text = files(1).to_string();
        assert!(text.starts_with("`docs/c` has changed at ") && text.contains("10.0.0.1:4917"), "{text}");
        assert!(files(4).to_string().starts_with("`docs/c` and 3 more have changed at "));
        assert!(text.ends_with("while it was fetched, the rest is here"), "{text}");
        assert!(files(1).advice().contains("by its name"));
        let one_is_away = Lack { waited: Some(Duration::from_secs(9)), ..files(1) };
        assert!(!one_is_away.to_string().contains("the rest"), "{one_is_away}");
        assert_eq!(Kept(0, 5).to_string(), "nothing of it came this time");
    }
}
