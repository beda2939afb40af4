//! `coview create`: makes an object, fills it, and holds it.

use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::Receiver;

use coview::{Access, Mapping, Namespace, Share, View};

use super::child::{self, Event};
use super::source::Source;
use crate::cli::CreateArgs;
use crate::failure::Failure;
use crate::output;

/// Pieces in which contents are copied.
const PIECE: usize = 1 << 20;

pub(crate) fn run(args: &CreateArgs) -> Result<ExitCode, Failure> {
    let source = args.from.as_deref().map(Source::open).transpose()?;
    // Until here nothing exists and Ctrl-C just ends us; from here on it must not leave anything behind.
    let (events, inbox) = child::watch()?;
    let mapping = make(args, source, &inbox)?;
    announce(args, &mapping)?;
    if args.command.is_empty() {
        match args.time {
            Some(time) => drop(inbox.recv_timeout(time)),
            None => drop(inbox.recv()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    child::run(&args.command, &name_of(&mapping), args.time, events, &inbox)
}

fn name_of(mapping: &Mapping) -> String {
    mapping.name().map(ToString::to_string).unwrap_or_default()
}

fn make(args: &CreateArgs, source: Option<Source>, inbox: &Receiver<Event>) -> Result<Mapping, Failure> {
    let mut options = Mapping::options().protection(args.protect).share(args.share.clone()).reserve(args.reserve);
    if let Some(path) = &args.file {
        options = options.file(path);
    }
    let Some(Source { mut bytes, len, shown }) = source else {
        return Ok(options.size(args.size.unwrap_or(0)).create(&args.name)?);
    };
    if args.protect != coview::Protection::ReadWrite {
        let why = "--from fills the new object, so it must be read-write; to share a file as it is, use --file alone";
        return Err(Failure::usage(why));
    }
    let size = args.size.unwrap_or(len);
    if len > size {
        return Err(Failure::usage(format!("{shown} has {len} bytes, --size allows {size}")));
    }
    if size == 0 {
        return Err(Failure::usage(format!("{shown} is empty: there is nothing to share")));
    }
    let exact = args.size.is_none() && args.file.is_none();
    let mapping = options.size(size).exact(exact).create(&args.name)?;
    if len > 0 {
        fill(&mapping, &mut bytes, len, inbox).map_err(|failure| failure.while_doing(&format!("copying {shown}")))?;
    }
    Ok(mapping)
}

fn fill(mapping: &Mapping, source: &mut dyn Read, len: u64, inbox: &Receiver<Event>) -> Result<(), Failure> {
    let bar = output::progress(len);
    let view: View = mapping.view(Access::ReadWrite)?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    while done < len {
        if inbox.try_recv().is_ok() {
            return Err(Failure::new("interrupted; the object is removed again"));
        }
        let want = piece.len().min((len - done) as usize);
        let got = source.read(&mut piece[..want])?;
        if got == 0 {
            return Err(Failure::new(format!("it ended after {done} of {len} bytes; it changed while it was read")));
        }
        view.write(done as usize, &piece[..got])?;
        done += got as u64;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Says that the object is there: on standard output, or on standard error if that belongs to COMMAND.
fn announce(args: &CreateArgs, mapping: &Mapping) -> Result<(), Failure> {
    let local = mapping.name().is_some_and(|name| name.namespace() == Namespace::Local);
    if local && args.share != Share::Owner {
        eprintln!(
            "coview: note: a Local name is seen by your user or session alone; name it 'Global\\…' to share it with others"
        );
    }
    let until = match (&args.command[..], args.time) {
        ([], None) => "until Ctrl-C".to_owned(),
        ([], Some(time)) => format!("for {}", humantime::format_duration(time)),
        _ => "until COMMAND ends".to_owned(),
    };
    let line = format!(
        "ready: {}, {} ({} bytes), {}, {until}",
        name_of(mapping),
        output::bytes(mapping.size()),
        mapping.size(),
        mapping.protection().word()
    );
    if args.command.is_empty() {
        let mut out = io::stdout();
        writeln!(out, "{line}")?;
        out.flush()?;
    } else if io::stderr().is_terminal() {
        eprintln!("{line}");
    }
    Ok(())
}
