//! `coview read`: copies an object's bytes out, raw or decoded.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::Range;

use coview::region::{self, RegionInfo, RegionKind};
use coview::{Access, Mapping};
use serde_json::json;

use crate::cli::{Form, ReadArgs};
use crate::failure::Failure;
use crate::layout::Layout;
use crate::output::{self, HexDump};
use crate::preset;

/// As much as is mapped at a time; a multiple of the 16 bytes of a line.
const WINDOW: usize = 16 << 20;

pub(crate) fn run(args: &ReadArgs) -> Result<(), Failure> {
    let layout = args.layout.as_deref().map(preset::layout).transpose()?;
    let mapping = Mapping::open(&args.name, Access::Read)?;
    let region = region_to_show(args, &mapping)?;
    if let Some(info) = region.as_ref().filter(|info| info.schema.is_some() || info.content.is_empty()) {
        return show_region(args, info, &mapping);
    }
    // The newest bytes of a latest value, or what was asked for.
    let offset = region.as_ref().map_or(args.offset, |info| info.content.start);
    let room = region.map_or(mapping.size(), |info| info.content.end).saturating_sub(offset);
    let len = args.len.unwrap_or_else(|| layout.as_ref().map_or(room, Layout::size));
    if len > room || len == 0 {
        return Err(out_of_range(args, layout.as_ref(), len, &mapping));
    }
    if let Some(layout) = layout {
        return decode(args, &layout, len, &mapping);
    }
    let form = args.form.unwrap_or(if io::stdout().is_terminal() { Form::Hex } else { Form::Raw });
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match form {
        Form::Raw => pieces(&mapping, offset, len, |_, piece| Ok(out.write_all(piece)?))?,
        Form::Hex => {
            let mut dump = HexDump::new();
            pieces(&mapping, offset, len, |offset, piece| Ok(dump.write(&mut out, offset, piece)?))?;
            dump.end(&mut out, offset + len)?;
        }
        Form::Text => {
            text(&mapping, offset, len, &mut out)?;
            writeln!(out)?;
        }
        Form::Json => {
            let mut bytes = Vec::new();
            text(&mapping, offset, len, &mut bytes)?;
            let text = String::from_utf8_lossy(&bytes);
            let name = mapping.name().map(ToString::to_string);
            output::json(&json!({ "name": name, "size": mapping.size(), "offset": offset, "len": len, "text": text }))?;
        }
    }
    Ok(out.flush()?)
}

/// The region, if it has fields or is a latest value, unless something else than those is asked for.
fn region_to_show(args: &ReadArgs, mapping: &Mapping) -> Result<Option<RegionInfo>, Failure> {
    let other = args.layout.is_some() || args.len.is_some() || args.offset != 0;
    if other || matches!(args.form, Some(Form::Raw | Form::Hex)) {
        return Ok(None);
    }
    Ok(region::describe(mapping)?.filter(|info| info.schema.is_some() || info.kind == RegionKind::Latest))
}

fn show_region(args: &ReadArgs, info: &RegionInfo, mapping: &Mapping) -> Result<(), Failure> {
    let layout = layout_of(&args.name, info)?;
    let view = mapping.view_range(Access::Read, info.content.clone())?;
    let mut bytes = vec![0; view.len()];
    view.read(0, &mut bytes)?;
    match args.form {
        Some(Form::Json) => output::json(&layout.to_json(&bytes)),
        _ => Ok(io::stdout().write_all(layout.to_text(&bytes).as_bytes())?),
    }
}

/// By which layout a region is to be shown.
fn layout_of(name: &str, info: &RegionInfo) -> Result<Layout, Failure> {
    let Some(schema) = info.schema.as_ref().filter(|_| info.initialised && !info.content.is_empty()) else {
        return Err(Failure::new(format!("cannot read {name}: nobody has given the region a value yet")));
    };
    let layout = Layout::of_schema(schema);
    layout.map_err(|why| Failure::new(format!("cannot show {name}: {why} with --as raw")))
}

/// The layout of a region's value, and where that stands now; `None` if the mapping has no value that describes itself.
pub(super) fn layout_of_region(name: &str, mapping: &Mapping) -> Result<Option<(Layout, Range<u64>)>, Failure> {
    match region::describe(mapping)? {
        Some(info) if info.schema.is_some() => Ok(Some((layout_of(name, &info)?, info.content))),
        _ => Ok(None),
    }
}

/// Hands the range over piece by piece.
fn pieces(
    mapping: &Mapping,
    offset: u64,
    len: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let end = offset + len;
    let mut buffer = vec![0; (256 << 10).min(len as usize)];
    let mut at = offset;
    while at < end {
        let view = mapping.view_range(Access::Read, at..end.min(at + WINDOW as u64))?;
        for start in (0..view.len()).step_by(buffer.len()) {
            let piece = &mut buffer[..(view.len() - start).min(256 << 10).min(len as usize)];
            view.read(start, piece)?;
            each(at + start as u64, piece)?;
        }
        at += view.len() as u64;
    }
    Ok(())
}

/// What stands before the first zero byte.
fn text(mapping: &Mapping, offset: u64, len: u64, out: &mut impl Write) -> Result<(), Failure> {
    let mut ended = false;
    pieces(mapping, offset, len, |_, piece| {
        if !ended {
            let end = memchr::memchr(0, piece);
            ended = end.is_some();
            out.write_all(&piece[..end.unwrap_or(piece.len())])?;
        }
        Ok(())
    })
}

fn decode(args: &ReadArgs, layout: &Layout, len: u64, mapping: &Mapping) -> Result<(), Failure> {
    if len < layout.size() {
        return Err(Failure::usage(format!("the layout has {} bytes, --len gives it {len}", layout.size())));
    }
    let view = mapping.view_range(Access::Read, args.offset..args.offset + layout.size())?;
    let mut bytes = vec![0; view.len()];
    view.read(0, &mut bytes)?;
    match args.form {
        None | Some(Form::Text) => print!("{}", layout.to_text(&bytes)),
        Some(Form::Json) => output::json(&layout.to_json(&bytes))?,
        Some(Form::Raw) => io::stdout().write_all(&bytes)?,
        Some(Form::Hex) => HexDump::new().write(&mut io::stdout(), args.offset, &bytes)?,
    }
    Ok(())
}

fn out_of_range(args: &ReadArgs, layout: Option<&Layout>, len: u64, mapping: &Mapping) -> Failure {
    let (name, offset, size) = (&args.name, args.offset, mapping.size());
    Failure::new(match layout {
        Some(layout) if args.len.is_none() => format!(
            "cannot read {name} by this layout: the layout has {} bytes, the memory {} from offset {offset}; \
             it was written by another layout (a C long has {} bytes here)",
            layout.size(),
            size.saturating_sub(offset),
            size_of::<std::ffi::c_long>()
        ),
        _ if offset >= size => {
            format!("cannot read {name}: offset {offset} does not lie inside its {size} bytes")
        }
        _ => {
            format!("cannot read {name}: {len} bytes from offset {offset} do not lie inside its {size} bytes")
        }
    })
}
