//! Why something could not be had, in sentences: what became of each provider, and what to do about it.

use std::fmt;

use crate::actors::download::Trouble;
use crate::cli::say::connect;
use crate::cli::say::names::Names;
use crate::logic::transfer::Why;
use crate::model::{Shown, Size};
use crate::node::Lack;
use crate::wire::Code;

/// Providers that are named one by one.
const NAMED: usize = 3;

/// What to do about it: about what is the same for all, else to try again.
pub(super) fn advice(of: &Lack) -> &'static str {
    let all = |is: fn(Why) -> bool| !of.providers.is_empty() && of.providers.iter().all(|one| is(one.why));
    match () {
        () if has_changed(of) => "get it by its name to fetch it as it is now, as its id is that of what it was",
        () if all(denies_by_lack) => "get it again by its name, or name another provider with --from",
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

fn has_changed(of: &Lack) -> bool {
    let changed = |one: &Trouble| one.why == Why::Changed;
    of.files.is_some() || (of.waited.is_none() && of.providers.iter().any(changed))
}

/// The cause, in a few words for each provider.
pub(super) fn cause(of: &Lack, names: &Names) -> String {
    let mut sorted: Vec<_> = of.providers.iter().collect();
    // The most telling first.
    sorted.sort_by_key(|one| (rank(one.why), one.node));
    let mut parts = Vec::new();
    if let Some(waited) = of.waited {
        let waited = humantime::format_duration(waited);
        let what = if sorted.is_empty() { "no provider was there" } else { "nothing came" };
        parts.push(format!("{what} for {waited}"));
    } else if sorted.is_empty() && of.files.is_none() {
        parts.push("nobody who has it is known".to_owned());
    }
    if let Some((first, count)) = &of.files {
        let first = Shown(first.as_str());
        let at = sorted.first().map(|one| format!(" at {}", place(one, names))).unwrap_or_default();
        parts.push(match count {
            0 | 1 => format!("`{first}` has changed{at} while it was fetched"),
            more => format!("`{first}` and {} more have changed{at} while they were fetched", more - 1),
        });
        // Else others, who may come back, have some of it.
        parts.extend(of.waited.is_none().then(|| "the rest is here".to_owned()));
    }
    let told = |one: &&&Trouble| of.files.is_some() && matches!(one.why, Why::Changed | Why::Gone);
    let others: Vec<_> = sorted.iter().filter(|one| !told(one)).collect();
    parts.extend(others.iter().take(NAMED).map(|one| sentence(one, names)));
    if others.len() > NAMED {
        parts.push(format!("and {} more", others.len() - NAMED));
    }
    parts.join(", ")
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

fn place(one: &Trouble, names: &Names) -> String {
    let short = names.brief(one.node);
    one.addr.map_or_else(|| short.clone(), |addr| format!("{short} ({addr})"))
}

fn sentence(one: &Trouble, names: &Names) -> String {
    let who = place(one, names);
    match (one.why, &one.error) {
        (Why::Unreachable, Some(error)) => format!("{who} cannot be reached: {}", Shown(&connect(error, names))),
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

const fn denies_by_lack(why: Why) -> bool {
    matches!(why, Why::Gone | Why::Refused(Code::NotFound | Code::SizeDiffers))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{NodeId, SafePath};

    fn one(name: &[u8], why: Why) -> Trouble {
        let addr = "10.0.0.1:4917".parse().ok();
        Trouble { node: NodeId::of_public_key(name), addr, why, error: None }
    }

    fn lack(waited: Option<u64>, providers: Vec<Trouble>) -> Lack {
        Lack { waited: waited.map(Duration::from_secs), providers, files: None }
    }

    fn said(lack: &Lack) -> String {
        cause(lack, &Names::default())
    }

    #[test]
    fn a_known_cause_is_what_is_said() {
        let a = NodeId::of_public_key(b"a").short();
        let changed = lack(None, vec![one(b"a", Why::Changed)]);
        assert_eq!(said(&changed), format!("{a} (10.0.0.1:4917) has changed its copy meanwhile"));
        assert!(advice(&changed).contains("by its name"));
        let waited = lack(Some(120), vec![one(b"a", Why::Lost)]);
        let text = format!("nothing came for 2m, {a} (10.0.0.1:4917) is gone, the connection was lost");
        assert_eq!(said(&waited), text);
        assert!(advice(&waited).contains("again to go on"));
        assert_eq!(said(&lack(Some(120), Vec::new())), "no provider was there for 2m");
        assert_eq!(said(&lack(None, Vec::new())), "nobody who has it is known");
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
        let advice = |why| advice(&lack(None, vec![one(b"a", why)]));
        assert!(advice(code(Code::Forbidden)).contains("operator"));
        assert!(advice(code(Code::Unreadable)).contains("permission"));
        assert!(advice(Why::Lied).contains("--from") && advice(Why::Gone).contains("--from"));
        assert!(advice(Why::Lost).contains("again"));
    }

    #[test]
    fn the_most_telling_comes_first_and_many_are_counted() {
        let mut providers = vec![one(b"a", Why::Unreachable), one(b"b", Why::Lost), one(b"c", Why::Changed)];
        let text = said(&lack(None, providers.clone()));
        assert!(text.starts_with(&NodeId::of_public_key(b"c").short()), "{text}");
        providers.extend([one(b"d", Why::Lost), one(b"e", Why::Lost)]);
        assert!(said(&lack(None, providers)).ends_with(", and 2 more"));
    }

    #[test]
    fn files_that_changed_are_named() {
        let first = SafePath::parse("docs/c").expect("valid");
        let files = |count| Lack { files: Some((first.clone(), count)), ..lack(None, vec![one(b"a", Why::Changed)]) };
        let text = said(&files(1));
        assert!(text.starts_with("`docs/c` has changed at ") && text.contains("10.0.0.1:4917"), "{text}");
        assert!(said(&files(4)).starts_with("`docs/c` and 3 more have changed at "));
        assert!(text.ends_with("while it was fetched, the rest is here"), "{text}");
        assert!(advice(&files(1)).contains("by its name"));
        let one_is_away = Lack { waited: Some(Duration::from_secs(9)), ..files(1) };
        assert!(!said(&one_is_away).contains("the rest"));
        assert_eq!(Kept(0, 5).to_string(), "nothing of it came this time");
    }
}
