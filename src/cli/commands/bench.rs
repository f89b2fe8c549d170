//! `qshare bench`: what the network and the disks between two machines give.
//! Not responsible for measuring: the node does.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::args::BenchArgs;
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::activity::Activity;
use crate::cli::render::human::{mean_rate, rate};
use crate::cli::render::json::{Benched, Line, Tested};
use crate::cli::render::table::Align::{Left, Right, SpareRight};
use crate::cli::render::table::Table;
use crate::cli::service;
use crate::model::{PeerTarget, Size};
use crate::node::{BENCH_TESTS, Bench, BenchReport, BenchRow, Lifetime, Listen, Node, Options};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: BenchArgs) -> Result<Exit> {
    match (arguments.listen, arguments.target) {
        (_, Some(target)) => measure(context, &target, arguments.bytes).await,
        (Some(listen), None) => serve(context, listen).await,
        (None, None) => {
            Err(Failure::Usage("give the other end's HOST[:PORT], or --listen ADDR[:PORT] to be it".into()))
        }
    }
}

/// Is measured, by one client at a time, until a signal comes or the node fails.
async fn serve(context: &Context, listen: SocketAddr) -> Result<Exit> {
    let context = &context.of_service();
    let mut signals = context.signals()?;
    let options = Options::new(context.home()).lifetime(Lifetime::LongRunning).listen(Listen::At(listen));
    let (node, events) = Bench::start(&options).await?;
    let result = async {
        context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
        context.output.print(&format!("{}@{}\n", node.id(), node.outward_addr()))?;
        service::serve(&node, events, &mut signals, context.only_warnings()).await
    }
    .await;
    stop(node.stop(), &mut signals).await;
    result
}

async fn measure(context: &Context, target: &PeerTarget, bytes: u64) -> Result<Exit> {
    let work = async |node: Node| {
        let activity = Activity::start(&context.output, "measuring");
        activity.set(0, BENCH_TESTS * bytes);
        Ok(node.bench(target, bytes, &activity.counter()).await?)
    };
    let report = context.look_by_itself(&format!("bench with {}", target.host_port()), work).await?;
    context.output.emit_all(report.rows.iter().map(|row| Line::Bench(Tested::of(row))))?;
    let addr = target.host_port();
    context.output.emit(&Line::Benched(Benched::of(&report, addr.clone())))?;
    context.output.table(&table(&report))?;
    let (size, rtt) = (Size(bytes), millis(report.rtt));
    context.output.remark(&format!(
        "qshare: {size} a test with {addr}, {rtt} away when nothing else is on the way; a file counts when it is on the \
         disk"
    ));
    Ok(Exit::DONE)
}

fn table(report: &BenchReport) -> Table {
    let columns = [
        ("TEST", Left),
        ("DIRECTION", Left),
        ("BIT/S", Right),
        ("BYTE/S", Right),
        ("CPU/GIB HERE", Right),
        ("THERE", Right),
        ("PEAK HERE", SpareRight),
        ("THERE", SpareRight),
        ("RTT", SpareRight),
        ("MTU", SpareRight),
        ("LOST", SpareRight),
    ];
    let cells = |row: &BenchRow| {
        let speed = mean_rate(row.bytes, row.elapsed);
        let (test, direction) = (row.test().to_owned(), row.direction().to_owned());
        let (cpu_here, cpu_there) = (cpu(row.cpu_here, row.bytes), cpu(row.cpu_there, row.bytes));
        let [here, there] = [row.memory_here, row.memory_there].map(|bytes| Size(bytes).to_string());
        let (rtt, mtu, lost) = (millis(row.rtt), row.mtu.to_string(), lost(row));
        [test, direction, bits(speed), rate(speed), cpu_here, cpu_there, here, there, rtt, mtu, lost]
    };
    Table::of(&columns, report.rows.iter().map(cells))
}

/// Bits a second with a decimal unit, as networks are sold: `9.41 Gbit/s`.
fn bits(bytes_per_second: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let bits = bytes_per_second as f64 * 8.0;
    match bits {
        1e9.. => format!("{:.2} Gbit/s", bits / 1e9),
        1e6.. => format!("{:.1} Mbit/s", bits / 1e6),
        _ => format!("{:.1} kbit/s", bits / 1e3),
    }
}

/// Processor seconds for a GiB: `0.52 s`.
fn cpu(used: Duration, bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two figures are shown")]
    let gib = bytes.max(1) as f64 / f64::from(1 << 30);
    format!("{:.2} s", used.as_secs_f64() / gib)
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// Packets, and how many of a hundred sent they are: `12 (0.03 %)`.
fn lost(row: &BenchRow) -> String {
    if row.lost == 0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "two figures are shown")]
    let share = 100.0 * row.lost as f64 / row.sent.max(1) as f64;
    format!("{} ({share:.2} %)", row.lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeId;

    fn row() -> BenchRow {
        BenchRow {
            file: false,
            download: true,
            bytes: 1 << 30,
            elapsed: Duration::from_secs(1),
            cpu_here: Duration::from_millis(520),
            cpu_there: Duration::from_millis(610),
            rtt: Duration::from_micros(1234),
            mtu: 1452,
            sent: 1000,
            lost: 5,
            memory_here: 32 << 20,
            memory_there: 48 << 20,
        }
    }

    #[test]
    fn a_row_has_every_figure_with_its_unit() {
        let report = BenchReport { node: NodeId::of_public_key(b"n"), rtt: Duration::ZERO, rows: vec![row()] };
        let text = "\
TEST    DIRECTION        BIT/S      BYTE/S  CPU/GIB HERE   THERE  PEAK HERE     THERE      RTT   MTU        LOST
memory  download   8.59 Gbit/s  1.0 GiB/s        0.52 s  0.61 s   32.0 MiB  48.0 MiB  1.23 ms  1452  5 (0.50 %)
";
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&table(&report).render(None)), words(text));
    }

    #[test]
    fn units_fit_the_figures() {
        assert_eq!(
            (bits(125_000_000), bits(125_000), bits(1)),
            ("1.00 Gbit/s".into(), "1.0 Mbit/s".into(), "0.0 kbit/s".into())
        );
        assert_eq!(cpu(Duration::from_secs(1), 512 << 20), "2.00 s");
        assert_eq!(lost(&BenchRow { lost: 0, sent: 0, ..row() }), "0");
    }

    #[test]
    fn a_json_line_has_every_figure() {
        let text = serde_json::to_string(&Line::Bench(Tested::of(&row()))).expect("JSON");
        assert_eq!(
            text,
            r#"{"event":"bench","test":"memory","direction":"download","bytes":1073741824,"seconds":1.0,"rate":1073741824,"bits":8589934592,"cpu_here":0.52,"cpu_there":0.61,"rtt_us":1234,"mtu":1452,"sent":1000,"lost":5,"memory_here":33554432,"memory_there":50331648}"#
        );
    }
}
