//! `coview top`: what goes on in all objects and channels, live or as one sample.

mod screen;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use coview::frames::Policy;
use coview::inspect::{self, Channel, Entry, Kind, Origin};
use coview::region::RegionKind;
use serde_json::{Value, json};

use super::list;
use super::stop::Stop;
use super::terminal::Terminal;
use crate::cli::{SortBy, TopArgs};
use crate::failure::Failure;
use crate::output;

/// Rates over less are noise.
const SHORTEST: Duration = Duration::from_millis(10);

pub(crate) fn run(args: &TopArgs) -> Result<(), Failure> {
    let interval = args.interval.max(SHORTEST);
    if !args.once {
        if !Terminal::is_there() {
            return Err(Failure::usage(
                "top needs a terminal; `coview top --once` prints one sample, with --json for scripts",
            ));
        }
        return screen::run(args, interval, &Stop::watch()?);
    }
    let mut sampler = Sampler::new(args.all);
    sampler.sample()?;
    std::thread::sleep(interval);
    let mut rows = sampler.sample()?;
    sort(&mut rows, args.sort, false);
    if args.json {
        return output::json(&rows.iter().map(describe).collect::<Vec<Value>>());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row).to_vec()).collect();
    Ok(output::table(&mut anstream::stdout(), &HEADING, &cells)?)
}

/// An object, and what goes through it if it is a channel.
struct Row {
    entry: Entry,
    channel: Option<Channel>,
    /// A second, since the sample before.
    messages: Option<f64>,
    bytes: Option<f64>,
}

impl Row {
    /// How far the slowest receiver is behind.
    fn lag(&self) -> Option<u64> {
        self.channel.as_ref()?.receivers.iter().map(|receiver| receiver.lag).max()
    }

    /// What those who receive now did not get.
    fn drops(&self) -> Option<u64> {
        let receivers = &self.channel.as_ref()?.receivers;
        (!receivers.is_empty()).then(|| receivers.iter().fold(0, |sum, receiver| receiver.lost.saturating_add(sum)))
    }
}

/// Looks at everything, and remembers the channels for the next time.
struct Sampler {
    all: bool,
    last: HashMap<String, (Instant, Channel)>,
}

impl Sampler {
    fn new(all: bool) -> Sampler {
        Sampler { all, last: HashMap::new() }
    }

    fn sample(&mut self) -> Result<Vec<Row>, Failure> {
        let mut seen = HashMap::new();
        let mut rows = Vec::new();
        for entry in inspect::objects(self.all)? {
            let looks = entry.origin == Origin::Named(Kind::Mapping) && !entry.name_is_cut && !entry.stale;
            // Who may not look, or comes too late, sees no channel.
            let channel = looks.then(|| inspect::channel(&entry.name).ok().flatten()).flatten();
            let at = Instant::now();
            let (mut messages, mut bytes) = (None, None);
            if let Some(channel) = &channel {
                if let Some((then, before)) = self.last.get(&entry.name).filter(|(_, last)| last.kind == channel.kind) {
                    let seconds = at.duration_since(*then).as_secs_f64();
                    let traffic = channel.since(before);
                    messages = traffic.messages.map(|count| count as f64 / seconds);
                    bytes = traffic.bytes.map(|count| count as f64 / seconds);
                }
                seen.insert(entry.name.clone(), (at, channel.clone()));
            }
            rows.push(Row { entry, channel, messages, bytes });
        }
        self.last = seen;
        Ok(rows)
    }
}

/// Names from A, numbers from the largest; `reverse`: the other way round.
fn sort(rows: &mut [Row], by: SortBy, reverse: bool) {
    let number = |row: &Row| -> f64 {
        match by {
            SortBy::Name => None,
            SortBy::Size => row.entry.size.map(|size| size as f64),
            SortBy::Memory => row.entry.resident.map(|bytes| bytes as f64),
            SortBy::Messages => row.messages,
            SortBy::Bytes => row.bytes,
            SortBy::Lag => row.lag().map(|lag| lag as f64),
            SortBy::Drops => row.drops().map(|drops| drops as f64),
        }
        .unwrap_or(-1.0)
    };
    rows.sort_by(|a, b| {
        let order = number(b).total_cmp(&number(a)).then_with(|| a.entry.name.cmp(&b.entry.name));
        if reverse { order.reverse() } else { order }
    });
}

const HEADING: [&str; 11] =
    ["NAME", "KIND", "SIZE", "MEMORY", "HOLDERS", "MSG/S", "BYTES/S", "IN USE", "ENDS", "LAG", "DROPS"];

fn cells(row: &Row) -> [String; 11] {
    let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    let (entry, channel) = (&row.entry, row.channel.as_ref());
    let kind = channel.map_or(list::kind(entry), |channel| word(channel.kind));
    [
        list::name(entry),
        kind.to_owned(),
        or_none(entry.size.map(output::bytes)),
        or_none(entry.resident.map(output::bytes)),
        if entry.stale { "stale".to_owned() } else { entry.holders.len().to_string() },
        or_none(row.messages.map(rate)),
        or_none(row.bytes.map(|bytes| output::bytes(bytes as u64))),
        or_none(channel.map(|one| format!("{}%", (one.used * 100).checked_div(one.capacity).unwrap_or(0)))),
        or_none(channel.map(|one| format!("{}>{}", one.senders.len(), one.receivers.len()))),
        or_none(row.lag().map(|lag| lag.to_string())),
        or_none(row.drops().map(|drops| drops.to_string())),
    ]
}

/// Shorter than `ls` has it: there are many columns.
fn word(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Frames => "frames",
        RegionKind::Latest => "latest",
        kind => kind.word(),
    }
}

fn rate(per_second: f64) -> String {
    match per_second.partial_cmp(&10.0) {
        Some(Ordering::Less) if per_second > 0.0 => format!("{per_second:.1}"),
        _ => format!("{per_second:.0}"),
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::EveryFrame => "every",
        Policy::DropOldest => "drop-oldest",
        Policy::NewestOnly => "newest",
        _ => "other",
    }
}

fn describe(row: &Row) -> Value {
    let channel = row.channel.as_ref().map(|channel| {
        let receivers: Vec<Value> = channel
            .receivers
            .iter()
            .map(|one| json!({ "pid": one.peer.process, "policy": policy(one.policy), "lag": one.lag, "drops": one.lost }))
            .collect();
        json!({
            "kind": word(channel.kind),
            "newest": channel.newest,
            "message_size": channel.message_size,
            "capacity": channel.capacity,
            "used": channel.used,
            "messages_per_second": row.messages,
            "bytes_per_second": row.bytes,
            "senders": channel.senders.iter().map(|peer| peer.process).collect::<Vec<u32>>(),
            "receivers": receivers,
            "sender_deaths": channel.deaths.0,
            "receiver_deaths": channel.deaths.1,
        })
    });
    let entry = &row.entry;
    json!({
        "name": entry.name,
        "kind": list::kind(entry),
        "size": entry.size,
        "resident": entry.resident,
        "stale": entry.stale,
        "holders": entry.holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(),
        "channel": channel,
    })
}
