//! What other nodes offer to this one's person: what is taken by rule, what waits, and how much of it may.
//! Invariant: of what waits no node has more than its share, nor all strangers together more than theirs; what was decided is
//! remembered for whoever asks again. Not responsible for fetching, nor for where it is kept.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use itertools::Itertools as _;
use serde::{Deserialize, Serialize};

use crate::logic::limits::jobs::JobId;
use crate::logic::limits::shares::Who;
use crate::model::collection::manifest::MAX_FILES;
use crate::model::{Kind, Layout, NodeId, PutId};
use crate::wire::limits::{PUT_NAMES, PUT_TEXT};
use crate::wire::{Code, Put, PutEvent, PutItem};

/// Offers of one stranger that wait.
const STRANGER: usize = 10;
/// Offers of all strangers together that wait.
const STRANGERS: usize = 100;
/// Of these, those of one network: keys cost nothing, addresses do.
const NETWORK: usize = STRANGERS / 4;
/// Offers of one friend that wait: room of its own.
const FRIEND: usize = 100;
/// Offers that were accepted and are not there yet: more are not taken by rule. Strangers have half of these, and of the bytes.
const ACCEPTED: usize = 100;
/// Offers that are over, and remembered so that whoever asks again is answered alike.
const OVER: usize = 200;

/// Whose offers are taken without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// Everybody's.
    Always,
    /// Nobody's: a person decides.
    #[default]
    Ask,
    /// Those of friends.
    Friends,
    /// Nobody's, and everybody is declined.
    Never,
}

/// What is taken without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whose.
    pub accept: Accept,
    /// Bytes of all that is taken and not there yet.
    pub bytes: u64,
    /// Files of one offer.
    pub files: u64,
}

/// How an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is being fetched.
    Accepted,
    /// It is not wanted.
    Declined,
    /// It is there.
    Done,
    /// Nobody has decided.
    Waiting,
    /// Whoever offered it does so no longer.
    Withdrawn,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it may still come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::Waiting)
    }
}

/// Why something cannot come from whoever offered it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// It is another thing there now.
    Changed,
    /// There is nothing there any more.
    Gone,
    /// It is not sent any more.
    Ended,
}

/// One offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub from: NodeId,
    /// That is a friend.
    pub friend: bool,
    /// What, to whom else.
    pub put: Put,
    /// When it came first, from 1970 on.
    pub since: Duration,
    /// How it stands.
    pub state: Standing,
    /// Where its contents go, once it was accepted; one for each.
    pub outputs: Vec<PathBuf>,
    /// The transfers of them, likewise.
    pub jobs: Vec<JobId>,
    /// Bytes of it that are there.
    pub have: u64,
    /// Where whoever offers it is.
    #[serde(default)]
    pub network: Option<IpAddr>,
    /// Why it comes from there no longer, as far as that was told.
    #[serde(default)]
    pub loss: Option<Loss>,
}

impl Entry {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.put.items.iter().fold(0, |sum, item| sum.saturating_add(item.size))
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.put.items.iter().map(|item| u64::from(item.files)).sum()
    }

    /// Whether it is a message and nothing else.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        self.put.items.is_empty()
    }

    /// Whether it was cleared: nothing is left of it but what became of it.
    const fn is_cleared(&self) -> bool {
        self.is_message() && self.put.text.is_empty()
    }

    /// What whoever offers it is told.
    #[must_use]
    pub fn event(&self) -> PutEvent {
        match self.state {
            Standing::Accepted => PutEvent::Have(self.have),
            Standing::Declined => PutEvent::Declined,
            Standing::Done => PutEvent::Done,
            // A message has arrived when it is here.
            _ if self.is_message() => PutEvent::Done,
            Standing::Waiting | Standing::Withdrawn => PutEvent::Waiting,
        }
    }
}

/// All offers, by the numbers that people give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    entries: BTreeMap<u32, Entry>,
    last: u32,
}

/// What became of one that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It was there.
    Known(u32),
    /// It is new, and so is to be looked at by rule.
    New(u32),
}

impl Inbox {
    /// The offers, without those that were cleared.
    pub fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.all().filter(|(_, entry)| !entry.is_cleared())
    }

    fn all(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.entries.iter().map(|(number, entry)| (*number, entry))
    }

    /// Those that are being fetched.
    pub fn accepted(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.entries().filter(|(_, entry)| entry.state == Standing::Accepted)
    }

    /// One of them.
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// The same, to be changed.
    pub fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }

    /// Forgets one.
    pub fn forget(&mut self, number: u32) {
        self.entries.remove(&number);
    }

    /// The one of this node and id.
    #[must_use]
    pub fn of(&self, from: NodeId, put: PutId) -> Option<u32> {
        self.all().find(|(_, entry)| entry.from == from && entry.put.put == put).map(|(number, _)| number)
    }

    /// Something is offered by this one, at this time from 1970 on. What the node has offered before and was not decided against, or is on
    /// its way, is that again: a command that was killed begins anew.
    ///
    /// # Errors
    /// BadRequest, TooLarge, or Busy where too much waits.
    pub fn offer(&mut self, who: Who, put: Put, now: Duration) -> Result<Came, Code> {
        check(&put)?;
        let (from, network) = (who.peer, Some(who.network));
        let same = |entry: &Entry| entry.put.items == put.items && entry.put.text == put.text;
        if let Some(number) = self.of(from, put.put) {
            let Some(entry) = self.entries.get_mut(&number).filter(|entry| entry.is_cleared() || same(entry)) else {
                return Err(Code::BadRequest);
            };
            entry.put.receivers = put.receivers;
            (entry.network, entry.loss) = (network, None);
            if entry.state == Standing::Withdrawn {
                entry.state = Standing::Waiting;
            }
            return Ok(Came::Known(number));
        }
        let is_again = |entry: &Entry| entry.from == from && entry.state.is_open() && same(entry);
        if let Some((number, entry)) = self.entries.iter_mut().find(|(_, entry)| is_again(entry)) {
            (entry.put, entry.network, entry.loss) = (put, network, None);
            return Ok(Came::Known(*number));
        }
        self.make_room(who, put.items.is_empty())?;
        self.last += 1;
        let (state, jobs) = (Standing::Waiting, Vec::new());
        let (outputs, friend) = (Vec::new(), who.friend);
        let (have, loss) = (0, None);
        let entry = Entry { from, friend, put, since: now, state, outputs, jobs, have, network, loss };
        self.entries.insert(self.last, entry);
        Ok(Came::New(self.last))
    }

    /// A message takes the place of an unread one, as nobody waits for what becomes of that; an offer has to wait.
    fn make_room(&mut self, who: Who, is_message: bool) -> Result<(), Code> {
        match self.in_the_way(who, is_message).first() {
            Some(_) if !is_message => return Err(Code::Busy),
            Some(oldest) => drop(self.entries.remove(oldest)),
            None => {}
        }
        // Strangers cannot have it forgotten what became of what friends offered.
        let mut over: Vec<_> = self.all().filter(|(_, e)| !e.state.is_open()).map(|(n, e)| (e.friend, n)).collect();
        over.sort_unstable();
        for (_, number) in over.iter().take(over.len().saturating_sub(OVER)) {
            self.entries.remove(number);
        }
        Ok(())
    }

    /// Those that leave no place for one more message or offer of this sender: its own, those of its network, or those of all
    /// strangers, of which the network that has most is the first. The oldest of them before the others.
    fn in_the_way(&self, who: Who, is_message: bool) -> Vec<u32> {
        let waits = |entry: &Entry| entry.state == Standing::Waiting && entry.is_message() == is_message;
        let of = |most: usize, is: &dyn Fn(&Entry) -> bool| {
            let all: Vec<(u32, &Entry)> = self.all().filter(|(_, entry)| waits(entry) && is(entry)).collect();
            Some(all).filter(|all| all.len() >= most)
        };
        let own = |entry: &Entry| entry.from == who.peer;
        let near = |entry: &Entry| !entry.friend && entry.network == Some(who.network);
        let all = match who.friend {
            true => of(FRIEND, &own),
            false => {
                of(STRANGER, &own).or_else(|| of(NETWORK, &near)).or_else(|| of(STRANGERS, &|entry| !entry.friend))
            }
        };
        let mut all = all.unwrap_or_default();
        let networks = all.iter().counts_by(|(_, entry)| entry.network);
        all.sort_by_key(|(number, entry)| (Reverse(networks[&entry.network]), *number));
        all.into_iter().map(|(number, _)| number).collect()
    }

    /// What the rules make of one that waits.
    #[must_use]
    pub fn by_rule(&self, number: u32, rules: &Rules) -> Standing {
        let Some(entry) = self.entries.get(&number) else { return Standing::Waiting };
        let wanted = match rules.accept {
            Accept::Always => true,
            Accept::Ask => false,
            Accept::Friends => entry.friend,
            Accept::Never => return Standing::Declined,
        };
        let is_within = entry.files() <= rules.files && self.has_room(entry, rules.bytes);
        let is_plain = entry.put.items.iter().all(|item| !item.name.as_str().starts_with('.'));
        if wanted && is_within && is_plain && !entry.is_message() { Standing::Accepted } else { Standing::Waiting }
    }

    /// Whether one more of these may be on its way: strangers leave half of the room to friends.
    fn has_room(&self, entry: &Entry, most: u64) -> bool {
        let under_way = || self.entries.values().filter(|other| other.state == Standing::Accepted);
        let fits = |of: &dyn Fn(&&Entry) -> bool, places: usize, bytes: u64| {
            let all = || under_way().filter(of);
            all().count() < places && all().fold(entry.bytes(), |sum, one| sum.saturating_add(one.bytes())) <= bytes
        };
        fits(&|_| true, ACCEPTED, most)
            && (entry.friend
                || fits(&|other| !other.friend, ACCEPTED / 2, most / 2)
                    && fits(&|other| !other.friend && other.network == entry.network, NETWORK, most / 2)
                    && fits(&|other| !other.friend && other.from == entry.from, STRANGER, most / 2))
    }

    /// Those that wait and are meant: one, or all.
    ///
    /// # Errors
    /// How one stands that does not wait; nothing where there is none of this number.
    pub fn waiting(&self, number: Option<u32>) -> Result<Vec<u32>, Option<Standing>> {
        self.meant(number, |entry| entry.state == Standing::Waiting)
    }

    /// One that is so, or all that are.
    fn meant(&self, number: Option<u32>, is: impl Fn(&Entry) -> bool) -> Result<Vec<u32>, Option<Standing>> {
        match number {
            None => Ok(self.entries().filter(|(_, entry)| is(entry)).map(|(number, _)| number).collect()),
            Some(number) => match self.entries.get(&number).filter(|entry| !entry.is_cleared()) {
                Some(entry) if is(entry) => Ok(vec![number]),
                other => Err(other.map(|entry| entry.state)),
            },
        }
    }

    /// Drops one that is over, or all that are; which. Whoever offers one of them again is answered as before.
    ///
    /// # Errors
    /// How one stands that is not over; nothing where there is none of this number.
    pub fn clear(&mut self, number: Option<u32>) -> Result<Vec<(u32, Entry)>, Option<Standing>> {
        let mut cleared = Vec::new();
        for number in self.meant(number, |entry| !entry.state.is_open())? {
            let Some(mut entry) = self.entries.remove(&number) else { continue };
            cleared.push((number, entry.clone()));
            if entry.state != Standing::Withdrawn {
                (entry.put.items, entry.put.text, entry.put.receivers) = Default::default();
                (entry.outputs, entry.jobs) = Default::default();
                self.entries.insert(number, entry);
            }
        }
        Ok(cleared)
    }

    /// Whoever offered it does so no longer: its number, and whether transfers of it are to be ended, as nobody gives it. What is
    /// on its way goes on as long as somebody may.
    pub fn withdraw(&mut self, from: NodeId, put: PutId, loss: Option<Loss>) -> Option<(u32, bool)> {
        let number = self.of(from, put)?;
        let entry = self.entries.get_mut(&number).filter(|entry| entry.state.is_open())?;
        // A message has arrived.
        if entry.is_message() {
            return None;
        }
        let is_under_way = entry.state == Standing::Accepted;
        // Whoever offers it is one of those that give.
        let is_alone = entry.put.receivers.len() < 2;
        entry.loss = loss.or_else(|| (is_under_way && is_alone).then_some(Loss::Ended)).or(entry.loss);
        let is_over = !is_under_way || (loss.is_some() && is_alone);
        if is_over {
            entry.state = Standing::Withdrawn;
        }
        (is_over || entry.loss.is_some()).then_some((number, is_over && is_under_way))
    }
}

/// Whether it can be an offer at all.
fn check(put: &Put) -> Result<(), Code> {
    let items = &put.items;
    let names = items.iter().map(|item| item.name.as_str().len()).sum::<usize>();
    let bytes = items.iter().try_fold(0_u64, |sum, item| sum.checked_add(item.size));
    let is_file_too_large = |item: &PutItem| item.kind == Kind::File && Layout::of(item.size).is_none();
    let is_large = |item: &PutItem| item.files as usize > MAX_FILES || is_file_too_large(item);
    if names > PUT_NAMES || put.text.len() > PUT_TEXT || bytes.is_none() || items.iter().any(is_large) {
        return Err(Code::TooLarge);
    }
    let is_nothing = items.is_empty() && put.text.is_empty();
    if is_nothing || items.iter().any(is_nonsense) { Err(Code::BadRequest) } else { Ok(()) }
}

/// Whether nothing can be this.
fn is_nonsense(item: &PutItem) -> bool {
    let is_whole = match item.kind {
        Kind::File => item.files == 1 && item.id.may_have(item.size),
        Kind::Collection => item.files > 0 || item.size == 0,
    };
    !is_whole || item.name.as_str().contains('/') || item.name.is_reserved()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::layout::MAX_FILE;
    use crate::model::{ContentId, Kind, Provider, SafePath};

    const RULES: Rules = Rules { accept: Accept::Friends, bytes: 100, files: 5 };
    const NOW: Duration = Duration::from_secs(1);

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    /// In a network of its own.
    fn who(byte: u8, friend: bool) -> Who {
        Who { peer: node(byte), network: IpAddr::from([10, 0, 0, byte]), friend }
    }

    fn put(number: u8, name: &str, size: u64) -> Put {
        let name = SafePath::parse(name).expect("a name");
        let id = if size == 0 { ContentId::NOTHING } else { ContentId::of(&[number]) };
        let item = PutItem { name, id, kind: Kind::File, size, files: 1, executable: false };
        Put { put: PutId::from_bytes([number; 16]), items: vec![item], text: String::new(), receivers: Vec::new() }
    }

    fn standing(inbox: &mut Inbox, friend: bool, put: Put) -> Standing {
        let Ok(Came::New(number)) = inbox.offer(who(1, friend), put, NOW) else { panic!("it is new") };
        let state = inbox.by_rule(number, &RULES);
        inbox.entry_mut(number).expect("there").state = state;
        state
    }

    #[test]
    fn friends_by_rule_within_its_bounds_and_never_what_begins_with_a_dot() {
        let mut inbox = Inbox::default();
        assert_eq!(standing(&mut inbox, false, put(1, "a", 1)), Standing::Waiting);
        assert_eq!(standing(&mut inbox, true, put(2, "b", 60)), Standing::Accepted);
        assert_eq!(standing(&mut inbox, true, put(3, "c", 60)), Standing::Waiting);
        assert_eq!(standing(&mut inbox, true, put(4, ".bashrc", 1)), Standing::Waiting);
        let many = Put {
            items: vec![PutItem { kind: Kind::Collection, files: 6, ..put(5, "d", 1).items.remove(0) }],
            ..put(5, "d", 1)
        };
        assert_eq!(standing(&mut inbox, true, many), Standing::Waiting);
        let (always, never) = (Rules { accept: Accept::Always, ..RULES }, Rules { accept: Accept::Never, ..RULES });
        assert_eq!(inbox.by_rule(1, &always), Standing::Accepted);
        assert_eq!(inbox.by_rule(1, &never), Standing::Declined);
    }

    #[test]
    fn what_strangers_have_on_its_way_leaves_friends_half() {
        let rules = Rules { accept: Accept::Always, ..RULES };
        let mut inbox = Inbox::default();
        let mut come = |from: u8, friend: bool, put: Put| {
            let Ok(Came::New(number)) = inbox.offer(who(from, friend), put, NOW) else { panic!("it is new") };
            let state = inbox.by_rule(number, &rules);
            inbox.entry_mut(number).expect("there").state = state;
            state
        };
        assert_eq!(come(1, false, put(1, "a", 51)), Standing::Waiting);
        assert_eq!(come(1, false, put(2, "b", 50)), Standing::Accepted);
        assert_eq!(come(2, false, put(3, "c", 1)), Standing::Waiting);
        assert_eq!(come(3, true, put(4, "d", 50)), Standing::Accepted);
        for number in 0..100_u8 {
            let state = come(100 + number / 10, false, put(100 + number, &format!("e{number}"), 0));
            let expected = if number < 49 { Standing::Accepted } else { Standing::Waiting };
            assert_eq!(state, expected, "{number}");
        }
        assert_eq!(come(3, true, put(5, "f", 0)), Standing::Accepted);
    }

    #[test]
    fn strangers_have_so_much_room_together_and_friends_their_own() {
        let mut inbox = Inbox::default();
        let mut fill = |from: u8, friend: bool| {
            let mut offer = |number: &u8| inbox.offer(who(from, friend), put(*number, "a", 1), NOW);
            (0..=u8::MAX).filter(|number| matches!(offer(number), Ok(Came::New(_)))).count()
        };
        let all: usize = (1..=20).map(|who| fill(who, false)).sum();
        assert_eq!(all, STRANGERS);
        assert_eq!((fill(1, false), fill(100, true)), (0, FRIEND));
        assert_eq!(inbox.offer(who(30, false), put(1, "a", 1), NOW), Err(Code::Busy));
    }

    #[test]
    fn the_keys_of_one_network_have_a_share_of_the_room_of_strangers() {
        let mut inbox = Inbox::default();
        let at = |from: u8, network: u8| Who { network: IpAddr::from([203, 0, network, 0]), ..who(from, false) };
        let mut fill = |who: Who| {
            let mut offer = |number: &u8| inbox.offer(who, put(*number, "a", 1), NOW);
            (0..=u8::MAX).filter(|number| matches!(offer(number), Ok(Came::New(_)))).count()
        };
        let of_one: usize = (1..=10).map(|from| fill(at(from, 1))).sum();
        assert_eq!((of_one, fill(at(20, 2)), fill(who(30, true))), (NETWORK, STRANGER, FRIEND));
        assert_eq!(fill(Who { friend: true, ..at(31, 1) }), FRIEND, "a friend there has its own");
    }

    #[test]
    fn unread_messages_keep_no_offer_out_and_the_oldest_of_a_crowd_make_room() {
        let mut inbox = Inbox::default();
        let text = |number: u8| Put { items: Vec::new(), text: format!("hi {number}"), ..put(number, "a", 1) };
        let at = |from: u8, network: u8| Who { network: IpAddr::from([203, 0, network, 0]), ..who(from, false) };
        let mut said = |who: Who, number: u8| {
            let came = inbox.offer(who, text(number), NOW);
            assert!(matches!(came, Ok(Came::New(_))), "never refused: {came:?}");
        };
        // A stranger's own make room.
        (0..15).for_each(|number| said(at(1, 1), number));
        // So do those of a network, also while all of them have all the room, and the only one of another stays.
        said(at(2, 2), 0);
        (0..STRANGERS).for_each(|n| {
            let network = u8::try_from(3 + n % 4).expect("few");
            said(at(u8::try_from(10 + n).expect("few"), network), 0);
        });
        (0..8).for_each(|number| said(at(200, 7), number));
        (0..u8::MAX).for_each(|number| said(who(250, true), number));
        let count = |is: &dyn Fn(&Entry) -> bool| inbox.entries().filter(|(_, entry)| is(entry)).count();
        let of = |from: u8| count(&|entry| entry.from == node(from));
        assert_eq!((count(&|entry| !entry.friend), of(250), of(2), of(200)), (STRANGERS, FRIEND, 1, 8));
        assert_eq!(of(1), STRANGER, "the last of them: {:?}", inbox.of(node(1), put(4, "a", 1).put));
        // All of that is no offer that waits.
        let mut offered = |number: u8| inbox.offer(at(1, 1), put(number + 50, "a", 1), NOW);
        assert!((0..10).all(|number| matches!(offered(number), Ok(Came::New(_)))));
        assert_eq!(offered(10), Err(Code::Busy));
    }

    #[test]
    fn what_has_changed_at_its_sender_ends_unless_others_may_give_it() {
        let mut inbox = Inbox::default();
        let id = |number: u8| PutId::from_bytes([number; 16]);
        let mut come = |number: u8, others: u8| {
            let provider = |byte: u8| Provider { node: node(byte), addrs: Vec::new() };
            let receivers = (1..=1 + others).map(provider).collect();
            inbox.offer(who(1, false), Put { receivers, ..put(number, "a", 1) }, NOW).expect("taken");
            inbox.entry_mut(number.into()).expect("there").state = Standing::Accepted;
        };
        [(1, 0), (2, 1), (3, 0)].into_iter().for_each(|(number, others)| come(number, others));
        inbox.entry_mut(3).expect("there").state = Standing::Waiting;
        assert_eq!(inbox.withdraw(node(1), id(1), None), Some((1, false)), "who only goes may come again");
        assert_eq!(
            inbox.entry(1).map(|entry| (entry.state, entry.loss)),
            Some((Standing::Accepted, Some(Loss::Ended)))
        );
        assert_eq!(inbox.withdraw(node(1), id(1), Some(Loss::Changed)), Some((1, true)));
        assert_eq!(inbox.withdraw(node(1), id(2), Some(Loss::Gone)), Some((2, false)));
        assert_eq!(inbox.withdraw(node(1), id(3), Some(Loss::Gone)), Some((3, false)));
        let stands = |number: u32| inbox.entry(number).map(|entry| (entry.state, entry.loss));
        assert_eq!(stands(1), Some((Standing::Withdrawn, Some(Loss::Changed))));
        assert_eq!(stands(2), Some((Standing::Accepted, Some(Loss::Gone))));
        assert_eq!(stands(3), Some((Standing::Withdrawn, Some(Loss::Gone))));
        assert_eq!(inbox.withdraw(node(1), id(3), Some(Loss::Gone)), None, "it is over");
        assert_eq!(inbox.offer(who(1, false), put(3, "a", 1), NOW), Ok(Came::Known(3)));
        assert_eq!(inbox.entry(3).map(|entry| (entry.state, entry.loss)), Some((Standing::Waiting, None)));
    }

    #[test]
    fn what_comes_again_is_the_same_and_what_has_changed_is_refused() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.offer(who(1, false), put(1, "a", 1), NOW), Ok(Came::New(1)));
        assert_eq!(inbox.offer(who(1, false), put(1, "a", 1), NOW), Ok(Came::Known(1)));
        assert_eq!(inbox.offer(who(1, false), put(1, "a", 2), NOW), Err(Code::BadRequest));
        // A command that was killed offers it under another number.
        let anew = Put { put: PutId::from_bytes([9; 16]), ..put(1, "a", 1) };
        assert_eq!(inbox.offer(who(1, false), anew.clone(), NOW), Ok(Came::Known(1)));
        assert_eq!(inbox.of(node(1), anew.put), Some(1));
        inbox.entry_mut(1).expect("there").state = Standing::Declined;
        assert_eq!(inbox.offer(who(1, false), anew, NOW), Ok(Came::Known(1)));
        assert_eq!(inbox.offer(who(1, false), put(1, "a", 1), NOW), Ok(Came::New(2)));
        assert_eq!(inbox.waiting(Some(1)), Err(Some(Standing::Declined)));
        assert_eq!((inbox.waiting(Some(7)), inbox.waiting(None)), (Err(None), Ok(vec![2])));
        assert_eq!(inbox.withdraw(node(1), PutId::from_bytes([1; 16]), None), Some((2, false)));
        assert_eq!(inbox.offer(who(1, false), put(1, "a/b", 1), NOW), Err(Code::BadRequest));
    }

    #[test]
    fn what_is_over_is_cleared_and_whoever_offers_it_again_is_answered_as_before() {
        let mut inbox = Inbox::default();
        for (number, state) in
            [Standing::Waiting, Standing::Accepted, Standing::Declined, Standing::Done].iter().enumerate()
        {
            let number = u8::try_from(number + 1).expect("few");
            assert_eq!(inbox.offer(who(1, false), put(number, "a", 1), NOW), Ok(Came::New(number.into())));
            inbox.entry_mut(number.into()).expect("there").state = *state;
        }
        assert_eq!(inbox.clear(Some(2)), Err(Some(Standing::Accepted)));
        let cleared: Vec<u32> = inbox.clear(None).expect("some").into_iter().map(|(number, _)| number).collect();
        assert_eq!((cleared, inbox.entries().map(|(number, _)| number).collect()), (vec![3, 4], vec![1, 2]));
        assert_eq!((inbox.clear(Some(3)), inbox.clear(None)), (Err(None), Ok(Vec::new())));
        assert_eq!(inbox.offer(who(1, false), put(4, "a", 1), NOW), Ok(Came::Known(4)));
        assert_eq!(inbox.entry(4).map(Entry::event), Some(PutEvent::Done));
        // What was withdrawn may come again.
        inbox.withdraw(node(1), PutId::from_bytes([1; 16]), None);
        assert_eq!(inbox.clear(Some(1)).map(|cleared| cleared.len()), Ok(1));
        assert_eq!(inbox.offer(who(1, false), put(1, "a", 1), NOW), Ok(Came::New(5)));
    }

    #[test]
    fn more_is_refused_than_can_be_looked_at() {
        let mut inbox = Inbox::default();
        let text = |len: usize| Put { items: Vec::new(), text: "x".repeat(len), ..put(1, "a", 1) };
        assert_eq!(inbox.offer(who(1, false), text(0), NOW), Err(Code::BadRequest));
        assert_eq!(inbox.offer(who(1, false), text(PUT_TEXT + 1), NOW), Err(Code::TooLarge));
        assert_eq!(inbox.offer(who(1, false), text(PUT_TEXT), NOW), Ok(Came::New(1)));
        assert_eq!(inbox.entry(1).map(Entry::event), Some(PutEvent::Done));
        let name = "x".repeat(200);
        let items = vec![put(2, &name, 1).items.remove(0); 21];
        assert_eq!(inbox.offer(who(1, false), Put { items, ..put(2, "a", 1) }, NOW), Err(Code::TooLarge));
        let mut of = |kind: Kind, size: u64, files: u32| {
            let items = vec![PutItem { kind, files, size, ..put(3, "a", 1).items.remove(0) }; 2];
            inbox.offer(who(1, false), Put { items, ..put(3, "a", 1) }, NOW)
        };
        assert_eq!(of(Kind::File, u64::MAX, 1), Err(Code::TooLarge), "more bytes than can be counted");
        assert_eq!(of(Kind::Collection, 1, 1_000_000), Err(Code::TooLarge));
        assert_eq!(of(Kind::File, MAX_FILE + 1, 1), Err(Code::TooLarge), "no file is so large");
        assert_eq!(of(Kind::File, 0, 1), Err(Code::BadRequest), "the id of nothing is another one");
        assert_eq!(of(Kind::File, 1, 2), Err(Code::BadRequest), "a file is one file");
        assert_eq!(of(Kind::Collection, 1, 0), Err(Code::BadRequest), "bytes without a file");
        assert_eq!(of(Kind::Collection, 0, 0), Ok(Came::New(2)));
    }
}
