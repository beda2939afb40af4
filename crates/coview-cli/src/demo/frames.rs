//! System S4: two processes send each other pictures of 3 MiB; each picture acknowledges the one that came before it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coview::frames::{Frames, FramesOptions, Policy, Publisher, Subscriber};
use coview::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use coview::{ErrorKind, Mutex};

use super::{Part, Stage};
use crate::failure::Failure;
use crate::output;

/// The seed's 3145728 bytes, as a picture.
const SIDE: usize = 1024;
/// So many pictures go each way, or as many as there is time for.
const MOST: u64 = 500;
const LEAST: u64 = 10;
const ENOUGH: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const COLUMNS: usize = 60;

/// What stands in front of each picture: its description, as in the seed.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone)]
#[zerocopy(crate = "coview::zerocopy")]
#[repr(C)]
struct Head {
    sequence: u64,
    /// The other side's picture that came before this one was sent; 0: none.
    acknowledges: u64,
    /// Nanoseconds since 1970 when it was published.
    sent: u64,
    size: u64,
    checksum: u64,
    name: [u8; 88],
}

const HEAD: usize = size_of::<Head>();

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let name = stage.name("ShareImage");
    let input = stage.input.as_ref().map_or(String::new(), |path| path.to_string_lossy().into_owned());
    let a = Part::start("A", "frames-a", &[&name, &input])?;
    a.ready()?;
    let clash = Mutex::create(&format!("{name}.there"));
    let told = clash.is_err_and(|error| error.kind() == ErrorKind::WrongKind && error.to_string().contains("mapping"));
    stage.verdict("a mutex of the same name is refused, and told what has the name", told);
    let b = Part::run("B", "frames-b", &[&name])?;
    let a = a.end()?;
    let whole = "none lost, none torn, none out of order";
    stage.verdict("B gets every picture whole and in order", b.code == Some(0) && b.said(whole));
    stage.verdict("A gets every picture whole and in order", a.code == Some(0) && a.said(whole));
    let all = "every one of its pictures was acknowledged";
    stage.verdict("every picture is acknowledged, both ways", a.said(all) && b.said(all));
    Ok(())
}

/// Begins: makes both channels, sends, and waits for the answer each time.
pub(super) fn first(name: &str, input: &str) -> Result<(), Failure> {
    let (title, picture) = picture(input)?;
    let len = HEAD + picture.len();
    let options = FramesOptions::new().slot(len).budget(4 * len);
    let there = options.create::<[u8]>(&format!("{name}.there"))?;
    let back = options.create::<[u8]>(&format!("{name}.back"))?;
    let (publisher, subscriber) = (there.publisher()?, back.subscriber(Policy::EveryFrame)?);
    println!("ready: {name}.there and .back are for pictures such as {title:?}, {} bytes", picture.len());
    let mut side = Side::new(&publisher, &subscriber);
    (side.title, side.picture) = (title, picture);
    side.receive()?; // B is there
    let begun = Instant::now();
    for sequence in 1..=MOST {
        side.send(sequence)?;
        side.receive()?;
        if sequence >= LEAST && begun.elapsed() > ENOUGH {
            break;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    side.send_mark()?;
    let frames = 2.0 * side.received as f64 / seconds;
    println!("{frames:.0} pictures/s, {}/s in all", output::bytes((frames * side.picture.len() as f64) as u64));
    side.report();
    Ok(())
}

/// Answers each picture by one of its own.
pub(super) fn second(name: &str) -> Result<(), Failure> {
    let there = Frames::<[u8]>::open(&format!("{name}.there"))?;
    let back = Frames::<[u8]>::open(&format!("{name}.back"))?;
    let (publisher, subscriber) = (back.publisher()?, there.subscriber(Policy::EveryFrame)?);
    let mut side = Side::new(&publisher, &subscriber);
    side.send_mark()?;
    while let Some(sequence) = side.receive()? {
        if sequence == 1 {
            println!("the first picture says that it is {:?}, {} bytes", side.title, side.picture.len());
        }
        side.send(sequence)?;
    }
    side.report();
    Ok(())
}

/// A picture's name and its bytes: a file's, or made up.
fn picture(input: &str) -> Result<(String, Vec<u8>), Failure> {
    if input.is_empty() {
        let pixel = |at: usize| [at % SIDE / 4, at / SIDE / 4, (at % SIDE) * (at / SIDE) / SIDE / 4].map(|c| c as u8);
        return Ok(("made up, 1024 x 1024".into(), (0..SIDE * SIDE).flat_map(pixel).collect()));
    }
    let refused = |why: String| Failure::new(format!("cannot send {input}: {why}"));
    let bytes = std::fs::read(input).map_err(|error| refused(error.to_string()))?;
    if bytes.is_empty() {
        return Err(refused("it is empty".into()));
    }
    let name = Path::new(input).file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    Ok((name, bytes))
}

/// One of the two: what it sends, and what it has seen.
struct Side<'a> {
    publisher: &'a Publisher<[u8]>,
    subscriber: &'a Subscriber<[u8]>,
    title: String,
    picture: Vec<u8>,
    sent: u64,
    received: u64,
    lost: u64,
    torn: u64,
    disordered: u64,
    acknowledged: u64,
    /// Of each picture, from its publication until we had it.
    nanoseconds: Vec<u64>,
}

impl<'a> Side<'a> {
    fn new(publisher: &'a Publisher<[u8]>, subscriber: &'a Subscriber<[u8]>) -> Side<'a> {
        let (title, picture, nanoseconds) = (String::new(), Vec::new(), Vec::new());
        let (sent, received, lost, torn, disordered, acknowledged) = (0, 0, 0, 0, 0, 0);
        Side {
            publisher,
            subscriber,
            title,
            picture,
            sent,
            received,
            lost,
            torn,
            disordered,
            acknowledged,
            nanoseconds,
        }
    }

    /// The picture, moved on by a line for each that was sent, so that no two that follow each other are the same.
    fn send(&mut self, sequence: u64) -> Result<(), Failure> {
        let mut loan = self.publisher.loan(HEAD + self.picture.len())?;
        let (head, pixels) = loan.split_at_mut(HEAD);
        let by = sequence as usize * 3 * SIDE % self.picture.len();
        pixels[..self.picture.len() - by].copy_from_slice(&self.picture[by..]);
        pixels[self.picture.len() - by..].copy_from_slice(&self.picture[..by]);
        let (acknowledges, size, checksum) = (self.received, pixels.len() as u64, checksum(sequence, pixels));
        let mut name = [0; 88];
        name.iter_mut().zip(self.title.bytes()).for_each(|(to, byte)| *to = byte);
        head.copy_from_slice(Head { sequence, acknowledges, sent: now(), size, checksum, name }.as_bytes());
        loan.publish()?;
        self.sent = sequence;
        Ok(())
    }

    /// A head without a picture: B is there, or A has sent all.
    fn send_mark(&self) -> Result<(), Failure> {
        let acknowledges = self.received;
        let head = Head { sequence: 0, acknowledges, sent: now(), size: 0, checksum: 0, name: [0; 88] };
        Ok(self.publisher.send(head.as_bytes())?)
    }

    /// The next picture's number; `None` for a mark.
    fn receive(&mut self) -> Result<Option<u64>, Failure> {
        let frame = self.subscriber.receive_timeout(PATIENCE)?;
        let frame = frame.ok_or_else(|| Failure::timed_out("the other side is silent"))?;
        let at = now();
        let (head, pixels) = Head::read_from_prefix(&frame).map_err(|_| Failure::new("a frame has no head"))?;
        if self.sent != 0 && head.acknowledges == self.sent {
            self.acknowledged += 1;
        }
        if head.sequence == 0 {
            return Ok(None);
        }
        self.nanoseconds.push(at.saturating_sub(head.sent));
        self.lost += frame.lost();
        self.disordered += u64::from(head.sequence != self.received + 1);
        let whole = head.size == pixels.len() as u64 && head.checksum == checksum(head.sequence, pixels);
        self.torn += u64::from(!whole);
        self.received = head.sequence;
        if self.picture.is_empty() {
            self.picture = pixels.to_vec();
            self.title = String::from_utf8_lossy(&head.name).trim_end_matches('\0').to_owned();
        }
        Ok(Some(head.sequence))
    }

    fn report(&mut self) {
        let none = |count: u64| if count == 0 { "none".to_owned() } else { format!("{count} WERE") };
        let (lost, torn, disordered) = (none(self.lost), none(self.torn), none(self.disordered));
        let (received, size) = (self.received, output::bytes(self.picture.len() as u64));
        println!("{received} pictures of {size} came: {lost} lost, {torn} torn, {disordered} out of order");
        match self.acknowledged == self.sent {
            true => println!("every one of its pictures was acknowledged"),
            false => println!("{} of its {} pictures were acknowledged", self.acknowledged, self.sent),
        }
        let columns = self.nanoseconds.chunks(self.nanoseconds.len().div_ceil(COLUMNS).max(1));
        let heights: Vec<u64> = columns.map(|some| some.iter().sum::<u64>() / some.len() as u64).collect();
        self.nanoseconds.sort_unstable();
        let rank = |of: usize| self.nanoseconds.get((self.nanoseconds.len() * of).div_ceil(100).saturating_sub(1));
        let micros = |of: usize| rank(of).copied().unwrap_or(0) as f64 / 1e3;
        println!("from sender to receiver: p50 {:.1} us, p99 {:.1} us", micros(50), micros(99));
        println!("{}", output::sparkline(&heights));
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// Depends on every byte and its place, and on the picture's number.
fn checksum(sequence: u64, bytes: &[u8]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&sequence.to_le_bytes());
    crc.update(bytes);
    crc.finalize().into()
}
