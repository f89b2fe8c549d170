mod simulation;

use std::time::Duration;

use self::simulation::{Link, Net, PACKET, ms};
use super::cubic::Cubic;
use super::delivery::Deliveries;
use super::path::Path;

const END: Duration = Duration::from_secs(1000);

/// Percent of the link between two moments.
fn share(net: &mut Net, flow: usize, from: Duration, to: Duration) -> u64 {
    net.run(from);
    let before = net.bytes(flow);
    net.run(to);
    net.share(flow, before, from)
}

/// Percent of the link that one flow has from its fifth second to its twentieth, and the world after it.
fn alone(link: Link) -> (u64, Net) {
    let mut net = Net::new(link, 1);
    let flow = net.ours(ms(0), END);
    (share(&mut net, flow, ms(5000), ms(20_000)), net)
}

#[test]
fn a_path_is_filled_and_its_queue_stays_short() {
    for (rtt, tenths) in [(20, 10), (20, 5), (20, 20), (100, 10), (300, 10)] {
        let (percent, net) = alone(Link::new(ms(rtt), tenths));
        assert!(percent >= 95, "{percent} % at {rtt} ms with {tenths} tenths of queue");
        assert!(net.queueing(0) < ms(rtt) / 4, "{:?} at {rtt} ms with {tenths} tenths of queue", net.queueing(0));
        assert!(net.lost(0) * 200 < net.bytes(0) / PACKET, "{} lost at {rtt} ms with {tenths} tenths", net.lost(0));
    }
}

#[test]
fn random_loss_costs_what_is_lost_and_little_more() {
    for (loss, least) in [(100, 95), (500, 88), (1000, 75)] {
        let (percent, _) = alone(Link { loss, ..Link::new(ms(100), 10) });
        assert!(percent >= least, "{percent} % of the link at {loss} lost of 10,000");
    }
}

#[test]
fn late_packets_cost_nothing() {
    for late in [500, 10_000] {
        let (percent, _) = alone(Link { late, late_by: ms(10), ..Link::new(ms(20), 10) });
        assert!(percent >= 94, "{percent} % of the link when {late} of 10,000 are late");
    }
}

#[test]
fn a_flow_of_cubic_keeps_its_part_and_ours_too() {
    for (ours, theirs) in [(0, 0), (5000, 0), (0, 5000)] {
        let mut net = Net::new(Link::new(ms(20), 10), 1);
        let (a, b) = (net.ours(ms(ours), END), net.cubic(ms(theirs), END));
        net.run(ms(60_000));
        let parts = [a, b].map(|flow| net.share(flow, 0, ms(0)));
        assert!(parts.iter().all(|part| *part >= 30), "{parts:?} percent when they begin at {ours} and {theirs} ms");
    }
}

#[test]
fn when_the_others_have_gone_the_queue_is_given_up() {
    let mut net = Net::new(Link::new(ms(20), 10), 1);
    let ours = net.ours(ms(0), END);
    net.cubic(ms(0), ms(20_000));
    net.run(ms(26_000));
    assert!(share(&mut net, ours, ms(26_000), ms(40_000)) >= 95);
    // 20 ms and a short queue hold a quarter more than the path does.
    assert!(net.window(ours) < 330_000, "{}", net.window(ours));
}

#[test]
fn flows_of_ours_share() {
    let mut net = Net::new(Link::new(ms(20), 10), 1);
    let flows = [0, 3000, 6000].map(|begin| net.ours(ms(begin), END));
    net.run(ms(20_000));
    let before = flows.map(|flow| net.bytes(flow));
    net.run(ms(60_000));
    let parts: Vec<_> = flows.iter().zip(before).map(|(flow, before)| net.share(*flow, before, ms(20_000))).collect();
    assert!(parts.iter().all(|part| *part >= 20), "{parts:?}");
    assert!(parts.iter().sum::<u64>() >= 94, "{parts:?}");
}

#[test]
fn what_the_path_carries_is_followed_up_and_down() {
    for (before, after) in [(12_500_000, 1_250_000), (12_500_000, 6_250_000), (1_250_000, 12_500_000)] {
        let mut net = Net::new(Link { rate: before, ..Link::new(ms(20), 10) }, 1);
        let flow = net.ours(ms(0), END);
        net.run(ms(10_000));
        net.link.rate = after;
        let percent = share(&mut net, flow, ms(13_000), ms(20_000));
        assert!((95..=100).contains(&percent), "{percent} % of {after} after {before}");
        net.run(ms(30_000));
        let holds = after / 50;
        assert!(net.window(flow) < holds * 3 / 2 + 8 * PACKET, "{} of {holds}", net.window(flow));
    }
}

#[test]
fn a_longer_way_is_learnt() {
    let mut net = Net::new(Link::new(ms(20), 10), 1);
    let flow = net.ours(ms(0), END);
    net.run(ms(10_000));
    net.link.delay = ms(50);
    let percent = share(&mut net, flow, ms(12_000), ms(32_000));
    assert!(percent >= 75, "{percent} %");
}

#[test]
fn after_an_outage_it_goes_on() {
    let mut net = Net::new(Link::new(ms(20), 10), 1);
    let flow = net.ours(ms(0), END);
    net.run(ms(5000));
    net.link.loss = 10_000;
    net.run(ms(8000));
    net.link.loss = 0;
    let percent = share(&mut net, flow, ms(10_000), ms(15_000));
    assert!(percent >= 95, "{percent} %");
}

/// Acknowledges every 10 ms what was sent 20 ms before, `bytes` at a time.
fn trickle(path: &mut Path, from: u64, to: u64, bytes: u64, app_limited: bool) {
    for step in from..to {
        path.sent(ms(step * 10), bytes);
        if step >= from + 2 {
            path.acked(ms(step * 10), ms(step * 10 - 20), bytes, app_limited);
            path.acks_end(ms(step * 10), 2 * bytes, app_limited);
        }
    }
}

#[test]
fn an_application_that_sends_little_neither_widens_nor_narrows_the_window() {
    let mut path = Path::new(1500, 1);
    let first = path.window();
    trickle(&mut path, 0, 500, 1000, true);
    assert_eq!(path.window(), first, "nothing was learnt in the start");

    let mut path = Path::new(1500, 1);
    trickle(&mut path, 0, 300, 100_000, false);
    // 10 MB/s over 20 ms hold 200,000 bytes, and three quarters of that while it gives way.
    assert!((150_000..350_000).contains(&path.window()), "{}", path.window());
    trickle(&mut path, 300, 900, 1000, true);
    assert!((150_000..350_000).contains(&path.window()), "{}", path.window());
}

/// The window for so many bytes in each round trip of half a millisecond.
fn near(bytes: u64) -> u64 {
    let mut path = Path::new(1500, 1);
    for step in 0..4000 {
        let now = ms(step) / 2;
        path.sent(now, bytes);
        if step > 0 {
            path.acked(now, ms(step - 1) / 2, bytes, false);
            path.acks_end(now, bytes.min(path.window()), false);
        }
    }
    path.window()
}

#[test]
fn only_above_gigabit_rates_more_is_in_flight_than_hosts_need() {
    // 200 MB/s and 100 MB/s, with 8 and 2 ms of slack (and a quarter of the path more while more is tried).
    let (fast, slow) = (near(100_000), near(50_000));
    assert!((1_600_000..1_800_000).contains(&fast), "{fast}");
    assert!((200_000..300_000).contains(&slow), "{slow}");
}

#[test]
fn a_persistent_outage_begins_again_with_few_packets() {
    let mut path = Path::new(1500, 1);
    trickle(&mut path, 0, 300, 100_000, false);
    path.lost(ms(3000), ms(2990), 200_000, true);
    assert_eq!(path.window(), 4 * 1500);
}

#[test]
fn a_sample_is_what_was_delivered_over_the_longer_interval() {
    let mut deliveries = Deliveries::default();
    deliveries.sent(ms(0), true);
    deliveries.acked(ms(0), 1000);
    assert_eq!(deliveries.end(ms(10), 0, false).map(|s| (s.rtt, s.rate)), Some((ms(10), 100_000)));
    // Two bursts 20 ms apart, acknowledged together: sending took longer.
    deliveries.sent(ms(10), true);
    deliveries.sent(ms(30), false);
    deliveries.acked(ms(10), 1000);
    deliveries.acked(ms(30), 1000);
    let sample = deliveries.end(ms(40), 0, false).expect("a sample");
    assert_eq!((sample.rtt, sample.rate, sample.delivered_before), (ms(10), 66_666, 1000));
    // What was overtaken tells nothing but that it came.
    deliveries.acked(ms(10), 500);
    assert_eq!(deliveries.end(ms(50), 0, false), None);
    assert_eq!(deliveries.delivered, 3500);
}

#[test]
fn sending_that_ran_dry_marks_its_samples() {
    let mut deliveries = Deliveries::default();
    deliveries.sent(ms(0), true);
    deliveries.acked(ms(0), 1000);
    assert_eq!(deliveries.end(ms(10), 0, true).map(|s| s.limited), Some(false));
    deliveries.sent(ms(20), true);
    deliveries.acked(ms(20), 1000);
    assert_eq!(deliveries.end(ms(30), 0, false).map(|s| s.limited), Some(true));
}

#[test]
fn cubic_gives_way_once_a_round_trip_and_returns_to_the_plateau() {
    let mut cubic = Cubic::new(1_500_000, ms(0));
    cubic.lost(ms(100), ms(50), 6000);
    cubic.lost(ms(110), ms(90), 6000);
    assert_eq!(cubic.window(), 1_050_000, "the second was sent before the first was known");
    // K = ∛(300 packets / 0.4) = 9.1 s (RFC 9438, section 4.2).
    let mut time = ms(100);
    while time < ms(9100) {
        time += ms(10);
        cubic.acked(time, ms(100), cubic.window() / 10, 1500);
    }
    assert!((1_450_000..1_560_000).contains(&cubic.window()), "{}", cubic.window());
}
