//! `get --explain`: where the time of a transfer went and what limited it, for people.
//! Not responsible for the account: the node measures and divides.

use std::time::Duration;

use crate::cli::render::human::{mean_rate, rate};
use crate::cli::render::table::Align::{Flexible, Left, Right, SpareRight};
use crate::cli::render::table::Table;
use crate::cli::say::names::Names;
use crate::model::Size;
use crate::node::{Cause, Outcome, ProviderProgress, Share};

/// The account as lines.
pub(crate) fn report(outcome: &Outcome, names: &Names, width: Option<usize>) -> String {
    let Some(largest) = outcome.shares.first() else {
        return "Nothing was fetched, so there is nothing to explain.\n".to_owned();
    };
    let share = |share: &Share| {
        let percent = format!("{}.{} %", share.permille / 10, share.permille % 10);
        [what(share.cause, &outcome.providers, names), percent, seconds(share.time)]
    };
    let columns = [("WHERE THE TIME WENT", Flexible), ("SHARE", Right), ("TIME", Right)];
    let shares = Table::of(&columns, outcome.shares.iter().map(share));
    let columns = [
        ("PROVIDER", Left),
        ("ADDRESS", Flexible),
        ("GAVE", Right),
        ("RATE", Right),
        ("ROUND TRIP", SpareRight),
        ("MTU", SpareRight),
        ("CONNECTIONS", SpareRight),
    ];
    let provider = |of: &ProviderProgress| {
        let (gave, speed) = (Size(of.bytes).to_string(), rate(mean_rate(of.bytes, outcome.elapsed)));
        let rtt = format!("{:.2} ms", of.rtt.as_secs_f64() * 1000.0);
        [names.short(of.node), of.addr.to_string(), gave, speed, rtt, of.mtu.to_string(), of.connections.to_string()]
    };
    let providers = Table::of(&columns, outcome.providers.iter().map(provider));
    let limit = what(largest.cause, &outcome.providers, names);
    format!("{}limited most by {limit}\n{}", shares.render(width), providers.render(width))
}

fn what(cause: Cause, providers: &[ProviderProgress], names: &Names) -> String {
    let text = match cause {
        Cause::Looking => "looking for who has it",
        Cause::Connecting => "connecting, reading lists",
        Cause::Comparing => "comparing with what was there",
        Cause::NoProvider => "nobody to ask",
        Cause::Provider(node) => {
            let addr = providers.iter().find(|provider| provider.node == node).map(|provider| provider.addr);
            let addr = addr.map(|addr| format!(" ({addr})")).unwrap_or_default();
            return format!("provider {}{addr}: its upload or the path from it", names.short(node));
        }
        Cause::Network => "our network: receiving and decrypting",
        Cause::Hashing => "our hashing",
        Cause::Disk => "our disk",
        Cause::Limit => "the limit that was set",
        Cause::Finishing => "finishing: syncing and publishing",
    };
    text.to_owned()
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, Kind, NodeId, SafePath};
    use crate::node::Share;

    #[test]
    fn the_account_names_what_limited_and_every_provider() {
        let node = NodeId::from_bytes([7; 32]);
        let share = |cause, millis, permille| Share { cause, time: Duration::from_millis(millis), permille };
        let provider = ProviderProgress {
            bytes: 30 << 20,
            rtt: Duration::from_micros(250),
            mtu: 1452,
            connections: 2,
            ..ProviderProgress::new(node, "10.0.0.1:4917".parse().expect("addr"))
        };
        let mut outcome = Outcome {
            id: ContentId::of(b""),
            kind: Kind::File,
            name: SafePath::parse("a.iso").expect("valid"),
            path: None,
            bytes: 30 << 20,
            fetched: 30 << 20,
            part: false,
            copied: 0,
            replaced: 0,
            left: 0,
            elapsed: Duration::from_secs(1),
            providers: vec![provider],
            plane: None,
            preview: None,
            shares: vec![share(Cause::Provider(node), 900, 900), share(Cause::Disk, 100, 100)],
            seeding: false,
            lacks: false,
            waited: Duration::ZERO,
        };
        let text = report(&outcome, &Names::default(), None);
        let upload = format!("provider {} (10.0.0.1:4917): its upload or the path from it", node.short());
        assert!(text.contains(&format!("limited most by {upload}\n")), "{text}");
        assert!(text.contains("90.0 %") && text.contains("0.100 s") && text.contains("0.25 ms"), "{text}");
        outcome.shares.clear();
        assert!(report(&outcome, &Names::default(), None).starts_with("Nothing was fetched"));
    }
}
