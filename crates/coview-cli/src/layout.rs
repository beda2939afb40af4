//! Reads a C struct declaration as it is written on the command line, and decodes bytes by it.

mod schema;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ffi::c_long;
use std::fmt;
use std::rc::Rc;

use serde_json::{Number, Value};

/// Types inside of types; more would overflow the stack.
const MAX_DEPTH: usize = 32;
const TOO_DEEP: &str = "types are nested more than 32 deep: declare less";
/// Numbers and characters in a layout: nobody reads more, and nested arrays multiply.
const MAX_VALUES: u64 = 1 << 22;
const TOO_LARGE: &str = "more than 4194304 numbers: leave large arrays out and read their bytes raw";
/// `#pragma pack` at rest: no type here needs more.
const NATURAL: u64 = 16;

const ADDRESS: &str = "an address or handle means nothing in another process: declare u64 for its bits, \
                       or put what it points to into the struct";
const LENGTH: &str = "an array needs its length in numbers, above 0: 64, 0x40 or 4*16";
const PRAGMA: &str = "of the lines with # only #pragma pack(n), pack(push, n) and pack(pop) are understood: \
                      leave the others out, write numbers for macros";
const UNKNOWN: &str = "unknown type: declare it before, or write one such as i32";

/// Words that begin what stands outside of structs.
const ITEM: [&str; 3] = ["struct", "union", "typedef"];
/// C's own words for numbers: they come in groups, in any order.
const BASIC: [&str; 12] = [
    "signed", "unsigned", "char", "short", "int", "long", "float", "double", "__int8", "__int16", "__int32", "__int64",
];

/// The size of a struct and where in it which member stands.
#[derive(Debug)]
pub(crate) struct Layout(Rc<Type>);

#[derive(Debug)]
struct Type {
    size: u64,
    align: u64,
    /// How many numbers and characters it has, and the depth of its parts: both limited.
    values: u64,
    depth: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar(Scalar),
    Array(Rc<Type>, u64),
    Record(Vec<Field>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scalar {
    Signed,
    Unsigned,
    Float,
    Bool,
    Text,
    /// Of a region: an array of them is shown as text if it is text.
    Byte,
}

#[derive(Debug)]
struct Field {
    name: String,
    offset: u64,
    ty: Rc<Type>,
}

/// Why a declaration cannot be used: where, and what to write instead.
#[derive(Debug)]
pub(crate) struct LayoutError(String);

impl Layout {
    /// The last struct or union in `text`; those before it are there to be used in it.
    pub(crate) fn parse(text: &str) -> Result<Layout, LayoutError> {
        let (tokens, pack) = (tokens(text), NATURAL);
        let mut parser = Parser { source: text, tokens, pack, ..Parser::default() };
        while !parser.peek().text.is_empty() {
            parser.item()?;
        }
        match parser.last.take() {
            Some(record) => Ok(Layout(record)),
            None => parser.unexpected("a struct, such as `struct { i32 id; char name[20]; }`"),
        }
    }

    /// What C's `sizeof` says, padding at the end included.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }

    /// A line for each member: `pos.x = 1.5`. Where bytes are too short for it, `(missing)`.
    pub(crate) fn to_text(&self, bytes: &[u8]) -> String {
        let mut lines = Vec::new();
        self.0.lines("", 0, bytes, &mut lines);
        // One long name shall not push all values out of sight.
        let widths = lines.iter().map(|(path, _)| path.chars().count().min(48));
        let width = widths.max().unwrap_or(0);
        let line = |(path, shown): &(String, String)| match width {
            0 => format!("{shown}\n"),
            _ => format!("{path:<width$} = {shown}\n"),
        };
        lines.iter().map(line).collect()
    }

    /// An object with the members in their order. Where bytes are too short for one, null.
    pub(crate) fn to_json(&self, bytes: &[u8]) -> Value {
        self.0.value(0, bytes)
    }
}

impl Type {
    fn scalar((scalar, size): (Scalar, u64)) -> Rc<Type> {
        let align = match scalar {
            // Four on 32-bit Linux, eight elsewhere.
            Scalar::Float if size == 8 => align_of::<f64>() as u64,
            _ if size == 8 => align_of::<u64>() as u64,
            _ => size,
        };
        let (values, depth, kind) = (1, 0, Kind::Scalar(scalar));
        Rc::new(Type { size, align, values, depth, kind })
    }

    fn array(element: Rc<Type>, len: u64) -> Result<Rc<Type>, &'static str> {
        let size = element.size.saturating_mul(len);
        let values = element.values.saturating_mul(len);
        let (align, depth) = (element.align, element.depth + 1);
        let kind = Kind::Array(element, len);
        Type::limited(size, align, values, depth, kind)
    }

    fn limited(size: u64, align: u64, values: u64, depth: usize, kind: Kind) -> Result<Rc<Type>, &'static str> {
        match kind {
            _ if values > MAX_VALUES => Err(TOO_LARGE),
            _ if depth > MAX_DEPTH => Err(TOO_DEEP),
            kind => Ok(Rc::new(Type { size, align, values, depth, kind })),
        }
    }

    fn has_members(&self) -> bool {
        match &self.kind {
            Kind::Array(element, _) => element.has_members(),
            kind => matches!(kind, Kind::Record(_)),
        }
    }

    fn value(&self, offset: u64, bytes: &[u8]) -> Value {
        // No overflow: MAX_VALUES bounds sizes, too.
        let own = bytes.get(offset as usize..(offset + self.size) as usize);
        match &self.kind {
            Kind::Scalar(scalar) => own.map_or(Value::Null, |own| scalar.value(own)),
            Kind::Array(element, _) if matches!(element.kind, Kind::Scalar(Scalar::Text)) => {
                own.map_or(Value::Null, |own| text(element.size, own).into())
            }
            Kind::Array(element, _) if matches!(element.kind, Kind::Scalar(Scalar::Byte)) => {
                let numbers = |own: &[u8]| own.iter().map(|byte| Value::from(*byte)).collect();
                own.map_or(Value::Null, |own| words(own).map_or_else(|| numbers(own), Value::from))
            }
            Kind::Array(element, len) => {
                let value = |i| element.value(offset + i * element.size, bytes);
                Value::Array((0..*len).map(value).collect())
            }
            Kind::Record(fields) => {
                let member = |f: &Field| (f.name.clone(), f.ty.value(offset + f.offset, bytes));
                Value::Object(fields.iter().map(member).collect())
            }
        }
    }

    fn lines(&self, path: &str, offset: u64, bytes: &[u8], out: &mut Vec<(String, String)>) {
        match &self.kind {
            Kind::Record(fields) => {
                let dot = if path.is_empty() { "" } else { "." };
                for field in fields {
                    let path = format!("{path}{dot}{}", field.name);
                    field.ty.lines(&path, offset + field.offset, bytes, out);
                }
            }
            Kind::Array(element, len) if element.has_members() => {
                for i in 0..*len {
                    let path = format!("{path}[{i}]");
                    element.lines(&path, offset + i * element.size, bytes, out);
                }
            }
            _ => out.push((path.to_owned(), self.shown(&self.value(offset, bytes)))),
        }
    }

    fn shown(&self, value: &Value) -> String {
        match (&self.kind, value) {
            (_, Value::Null) => "(missing)".to_owned(),
            (Kind::Array(element, _), Value::Array(values)) => {
                let values: Vec<String> = values.iter().map(|value| element.shown(value)).collect();
                format!("[{}]", values.join(", "))
            }
            (Kind::Scalar(Scalar::Float), Value::String(not_finite)) => not_finite.clone(),
            // Debug, as it also escapes what terminals obey and JSON does not.
            (_, Value::String(text)) => format!("{text:?}"),
            (_, value) => value.to_string(),
        }
    }
}

impl Scalar {
    fn value(self, bytes: &[u8]) -> Value {
        let number = number(bytes);
        match self {
            Scalar::Unsigned | Scalar::Byte => number.into(),
            Scalar::Signed => {
                let unused = 64 - 8 * bytes.len();
                (((number << unused) as i64) >> unused).into()
            }
            Scalar::Float if bytes.len() == 4 => float(f32::from_bits(number as u32)),
            Scalar::Float => float(f64::from_bits(number)),
            // Another process may have put anything there.
            Scalar::Bool if number > 1 => number.into(),
            Scalar::Bool => (number == 1).into(),
            Scalar::Text => text(bytes.len() as u64, bytes).into(),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => bytes.try_into().map_or(0, u64::from_ne_bytes),
    }
}

/// By way of decimal digits, so that 0.1 as f32 does not become 0.10000000149011612.
fn float(number: impl fmt::Display) -> Value {
    let digits = number.to_string();
    let finite = digits.parse().ok().and_then(Number::from_f64);
    finite.map_or(Value::String(digits), Value::Number)
}

fn text(unit: u64, bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(unit as usize).map(number);
    let units = units.take_while(|&unit| unit != 0);
    let wide = |unit| char::from_u32(unit as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    match unit {
        1 => String::from_utf8_lossy(&units.map(|unit| unit as u8).collect::<Vec<_>>()).into_owned(),
        2 => String::from_utf16_lossy(&units.map(|unit| unit as u16).collect::<Vec<_>>()),
        _ => units.map(wide).collect(),
    }
}

/// The text up to the first zero byte, if there is nothing but text; bytes that begin with a zero are text if all are zero.
fn words(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let plain = !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    (plain && (end > 0 || bytes.iter().all(|byte| *byte == 0)) && !bytes.is_empty()).then_some(text)
}

/// A word, a number or one other character; empty at the end.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    at: usize,
}

impl Token<'_> {
    fn is_word(self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let at = source.len() - rest.len();
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (text, after) = rest.split_at(word.max(first.len_utf8()));
        rest = if let Some(comment) = rest.strip_prefix("//") {
            comment.split_once('\n').unwrap_or_default().1
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").unwrap_or_default().1
        } else {
            // They change nothing about the bytes.
            if !matches!(text, "const" | "volatile") {
                found.push(Token { text, at });
            }
            after
        };
        rest = rest.trim_start();
    }
    found
}

struct Member<'a> {
    /// Empty if the members of this one count as those of the struct around it.
    name: &'a str,
    ty: Rc<Type>,
    packed: bool,
}

#[derive(Default)]
struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    pack: u64,
    packs: Vec<u64>,
    /// By tag and typedef; nothing for a pointer.
    types: HashMap<&'a str, Option<Rc<Type>>>,
    last: Option<Rc<Type>>,
    depth: usize,
}

type Parsed<T> = Result<T, LayoutError>;

impl<'a> Parser<'a> {
    fn ahead(&self, by: usize) -> Token<'a> {
        let (text, at) = ("", self.source.len());
        let found = self.tokens.get(self.next + by);
        found.copied().unwrap_or(Token { text, at })
    }

    fn peek(&self) -> Token<'a> {
        self.ahead(0)
    }

    fn peek_many(&self) -> [&'a str; 5] {
        std::array::from_fn(|by| self.ahead(by).text)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.peek().text == text;
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        match self.accept(text) {
            true => Ok(()),
            false => self.unexpected(&format!("`{text}`")),
        }
    }

    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        let token = self.peek();
        match advice(token.text) {
            Some(why) => self.fail(token, why),
            None => self.fail(token, &format!("expected {wanted}")),
        }
    }

    fn fail<T>(&self, token: Token<'a>, why: &str) -> Parsed<T> {
        let before = self.source.get(..token.at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        let text: String = token.text.chars().take(40).flat_map(char::escape_debug).collect();
        Err(LayoutError(match token.text {
            "" => format!("line {line}, column {column}, at the end: {why}"),
            _ => format!("line {line}, column {column}, at `{text}`: {why}"),
        }))
    }

    fn item(&mut self) -> Parsed<()> {
        match self.peek_many() {
            // Forward declarations: nothing new.
            ["struct" | "union", _, ";", ..] => self.next += 3,
            ["typedef", "struct" | "union", name, same, ";"] if name == same => self.next += 5,
            [";", ..] => self.next += 1,
            ["#", ..] => self.pragma()?,
            ["typedef", ..] => self.typedef()?,
            ["struct" | "union", ..] => {
                self.record()?;
                let next = self.peek();
                // The name of a variable.
                self.next += usize::from(next.is_word() && !ITEM.contains(&next.text));
            }
            _ => self.unexpected("`struct { ... }` around it, or a typedef or #pragma pack")?,
        }
        Ok(())
    }

    fn typedef(&mut self) -> Parsed<()> {
        self.take();
        let (base, _) = self.base()?;
        loop {
            let pointer = self.peek().text == "*";
            while self.accept("*") {}
            let (name, ty) = self.declarator(&base)?;
            self.types.insert(name, (!pointer).then_some(ty));
            if !self.accept(",") {
                return Ok(());
            }
        }
    }

    fn pragma(&mut self) -> Parsed<()> {
        let start = self.take();
        if !(self.accept("pragma") && self.accept("pack") && self.accept("(")) {
            return self.fail(start, PRAGMA);
        }
        let mut words = Vec::new();
        while !self.accept(")") && !self.peek().text.is_empty() {
            words.push(self.take().text);
        }
        if words.first() == Some(&"push") {
            self.packs.push(self.pack);
        }
        let known = |n: &u64| [1, 2, 4, 8, 16].contains(n);
        let pack = match *words.as_slice() {
            [] | ["0"] => Some(NATURAL),
            ["push"] => Some(self.pack),
            ["pop"] => self.packs.pop(),
            [n] | ["push", ",", n] => integer(n).filter(known),
            _ => None,
        };
        let Some(pack) = pack else {
            return self.fail(start, PRAGMA);
        };
        self.pack = pack;
        Ok(())
    }

    /// The type before the names, and whether it is a struct without any.
    fn base(&mut self) -> Parsed<(Rc<Type>, bool)> {
        let start = self.peek();
        if matches!(start.text, "struct" | "union") {
            return self.record();
        }
        let mut words = Vec::new();
        while BASIC.contains(&self.peek().text) {
            words.push(self.take().text);
        }
        if words.is_empty() {
            return Ok((self.named()?, false));
        }
        match basic(&words) {
            Some(scalar) => Ok((Type::scalar(scalar), false)),
            None => self.fail(start, "C has no such number: write i32, f64 or such"),
        }
    }

    fn named(&mut self) -> Parsed<Rc<Type>> {
        let token = self.peek();
        let declared = self.types.get(token.text).cloned();
        let known = || known(token.text).map(|scalar| Some(Type::scalar(scalar)));
        match (declared.or_else(known), self.ahead(1).text) {
            (Some(Some(ty)), _) => {
                self.take();
                Ok(ty)
            }
            (Some(None), _) => self.fail(token, ADDRESS),
            (None, _) if !token.is_word() || advice(token.text).is_some() => {
                self.unexpected("a type, or `}` at the end of the members")
            }
            (None, "*") => self.fail(token, ADDRESS),
            (None, ":") => self.fail(token, "the type comes first, as in `i32 id;`"),
            (None, _) => self.fail(token, UNKNOWN),
        }
    }

    /// As `base`.
    fn record(&mut self) -> Parsed<(Rc<Type>, bool)> {
        let keyword = self.take();
        let mut packed = self.attributes()?;
        let tag = self.peek();
        if tag.is_word() && self.ahead(1).text != "{" {
            return Ok((self.named()?, false));
        }
        self.next += usize::from(tag.is_word());
        self.expect("{")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(keyword, TOO_DEEP);
        }
        let mut members = Vec::new();
        while !self.accept("}") {
            self.member(&mut members)?;
        }
        self.depth -= 1;
        packed |= self.attributes()?;
        let pack = if packed { 1 } else { self.pack };
        let laid_out = lay_out(keyword.text == "union", pack, members);
        let ty = laid_out.or_else(|why| self.fail(keyword, &why))?;
        self.last = Some(ty.clone());
        if !tag.is_word() {
            return Ok((ty, true));
        }
        match self.types.insert(tag.text, Some(ty.clone())) {
            Some(_) => self.fail(tag, "declared twice: give one of them another name"),
            None => Ok((ty, false)),
        }
    }

    fn member(&mut self, members: &mut Vec<Member<'a>>) -> Parsed<()> {
        let (base, unnamed) = self.base()?;
        if unnamed && self.accept(";") {
            let (name, ty, packed) = ("", base, false);
            members.push(Member { name, ty, packed });
            return Ok(());
        }
        loop {
            let (name, ty) = self.declarator(&base)?;
            let packed = self.attributes()?;
            members.push(Member { name, ty, packed });
            if !self.accept(",") {
                return self.expect(";");
            }
        }
    }

    fn declarator(&mut self, base: &Rc<Type>) -> Parsed<(&'a str, Rc<Type>)> {
        if !self.peek().is_word() {
            return self.unexpected("a name after the type");
        }
        let name = self.take();
        let mut lengths = Vec::new();
        while self.accept("[") {
            lengths.push(self.length()?);
        }
        let mut ty = base.clone();
        for &len in lengths.iter().rev() {
            ty = Type::array(ty, len).or_else(|why| self.fail(name, why))?;
        }
        Ok((name.text, ty))
    }

    fn length(&mut self) -> Parsed<u64> {
        let mut product: u64 = 1;
        loop {
            let token = self.take();
            let Some(factor) = integer(token.text).filter(|&factor| factor > 0) else {
                return self.fail(token, LENGTH);
            };
            product = product.saturating_mul(factor);
            let token = self.take();
            match token.text {
                "*" => {}
                "]" => return Ok(product),
                _ => return self.fail(token, LENGTH),
            }
        }
    }

    /// Whether they say `packed`.
    fn attributes(&mut self) -> Parsed<bool> {
        let mut packed = false;
        while self.accept("__attribute__") {
            match self.peek_many() {
                ["(", "(", "packed" | "__packed__", ")", ")"] => self.next += 5,
                _ => return self.fail(self.ahead(2), "only packed is understood: declare padding as u8"),
            }
            packed = true;
        }
        Ok(packed)
    }
}

fn lay_out(union: bool, pack: u64, members: Vec<Member<'_>>) -> Result<Rc<Type>, String> {
    let (mut end, mut size, mut align, mut values, mut depth) = (0_u64, 0, 1, 0, 0);
    let mut fields = Vec::new();
    for Member { name, ty, packed } in members {
        let its_align = if packed { 1 } else { ty.align.min(pack) };
        let offset = if union { 0 } else { end.next_multiple_of(its_align) };
        // No overflow: a type is below 2^27 bytes, and a text does not have 2^37 members.
        end = offset + ty.size;
        size = end.max(size);
        align = its_align.max(align);
        values += ty.values;
        depth = depth.max(ty.depth + 1);
        match &ty.kind {
            Kind::Record(inner) if name.is_empty() => {
                let moved = |f: &Field| Field::new(&f.name, offset + f.offset, &f.ty);
                fields.extend(inner.iter().map(moved));
            }
            _ => fields.push(Field::new(name, offset, &ty)),
        }
    }
    let mut names = HashSet::new();
    if let Some(Field { name, .. }) = fields.iter().find(|f| !names.insert(f.name.as_str())) {
        return Err(format!("two members `{name}`: give one another name"));
    }
    if fields.is_empty() {
        return Err("no members: declare one".to_owned());
    }
    let (size, kind) = (size.next_multiple_of(align), Kind::Record(fields));
    Type::limited(size, align, values, depth, kind).map_err(str::to_owned)
}

impl Field {
    fn new(name: &str, offset: u64, ty: &Rc<Type>) -> Field {
        let (name, ty) = (name.to_owned(), ty.clone());
        Field { name, offset, ty }
    }
}

fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['u', 'l']);
    match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(hexadecimal), _) => u64::from_str_radix(hexadecimal, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => digits.parse().ok(),
    }
}

fn basic(words: &[&str]) -> Option<(Scalar, u64)> {
    let is_sign = |word: &&str| matches!(*word, "signed" | "unsigned");
    let (signs, mut words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_sign(word));
    words.sort_unstable();
    let size = match (words.join(" ").as_str(), signs.len()) {
        ("float", 0) => return Some((Scalar::Float, 4)),
        ("double", 0) => return Some((Scalar::Float, 8)),
        ("char", 0) => return Some((Scalar::Text, 1)),
        ("char" | "__int8", _) => 1,
        ("short" | "int short" | "__int16", _) => 2,
        ("" | "int" | "__int32", _) => 4,
        ("long" | "int long", _) => size_of::<c_long>() as u64,
        ("long long" | "int long long" | "__int64", _) => 8,
        _ => return None,
    };
    match signs.as_slice() {
        [] | ["signed"] => Some((Scalar::Signed, size)),
        ["unsigned"] => Some((Scalar::Unsigned, size)),
        _ => None,
    }
}

fn known(name: &str) -> Option<(Scalar, u64)> {
    use Scalar::{Bool, Float, Signed, Text, Unsigned};
    let word = size_of::<usize>() as u64;
    Some(match name {
        "i8" | "int8_t" | "INT8" => (Signed, 1),
        "i16" | "int16_t" | "INT16" | "SHORT" => (Signed, 2),
        "i32" | "int32_t" | "INT32" | "INT" | "LONG" | "LONG32" | "BOOL" => (Signed, 4),
        "i64" | "int64_t" | "INT64" | "LONGLONG" | "LONG64" => (Signed, 8),
        "u8" | "uint8_t" | "UINT8" | "BYTE" | "UCHAR" | "BOOLEAN" => (Unsigned, 1),
        "u16" | "uint16_t" | "UINT16" | "USHORT" | "WORD" => (Unsigned, 2),
        "u32" | "uint32_t" | "UINT32" | "UINT" | "ULONG" | "ULONG32" | "DWORD" | "DWORD32" => (Unsigned, 4),
        "u64" | "uint64_t" | "UINT64" | "ULONGLONG" | "ULONG64" | "DWORD64" | "DWORDLONG" => (Unsigned, 8),
        "isize" | "ssize_t" | "ptrdiff_t" | "intptr_t" | "SSIZE_T" | "LONG_PTR" => (Signed, word),
        "usize" | "size_t" | "uintptr_t" | "SIZE_T" | "ULONG_PTR" | "DWORD_PTR" => (Unsigned, word),
        "f32" | "FLOAT" => (Float, 4),
        "f64" | "DOUBLE" => (Float, 8),
        "bool" | "_Bool" => (Bool, 1),
        "CHAR" | "char8_t" => (Text, 1),
        "WCHAR" | "char16_t" => (Text, 2),
        "char32_t" => (Text, 4),
        "wchar_t" if std::env::consts::FAMILY == "windows" => (Text, 2),
        "wchar_t" => (Text, 4),
        _ => return None,
    })
}

/// What to write for words and signs that other declarations have.
fn advice(text: &str) -> Option<&'static str> {
    Some(match text {
        "*" | "&" | "void" | "HANDLE" | "HWND" | "HMODULE" | "HINSTANCE" | "PVOID" => ADDRESS,
        _ if text.starts_with("LP") => ADDRESS,
        "enum" => "the compiler chooses the size of an enum: write i32, or the integer it uses",
        ":" => "compilers differ about bit-fields: declare the whole, such as `u32 flags;`",
        "(" => "functions mean nothing in another process: leave it out, or declare u64 for its address",
        "=" => "a layout has no initial values: leave it out",
        "[" => "an array outside of a struct: put it into one",
        "#" => "compilers differ about # here: write it before the struct",
        "_Atomic" | "std" => "write the plain type, such as u32 for an atomic u32",
        "alignas" | "_Alignas" | "__declspec" => "alignment is not understood: declare padding as u8",
        "__attribute__" => "write it right after the `}` or the name of a member",
        "__int128" | "i128" | "u128" => "too wide: write two u64",
        "static" | "public" | "private" | "virtual" => "write a plain struct, data members alone",
        _ => return None,
    })
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LayoutError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sizeof` and `offsetof` of gcc on Linux and MinGW on Windows, both 64 bit.
    const COMPILED: &[&str] = &[
        "struct { char c; int i; short s; } => 12: c 0 i 4 s 8",
        "struct { bool b; f64 d; float f[3]; u8 t; } => 32: b 0 d 8 f 16 t 28",
        "struct { BYTE x; WORD y; DWORD z; WCHAR w[3]; u64 q; }; => 24: x 0 y 2 z 4 w 8 q 16",
        "#pragma pack(push, 2)\nstruct { char c; int i; double d; }; => 14: c 0 i 2 d 6",
        "#pragma pack(push,2) struct d { char c; int i; f64 d; }; #pragma pack(pop)
         typedef struct e { char c; struct d d; signed long long l; } E, *PE; => 24: c 0 d 2 l 16",
        "struct __attribute__((packed)) f { u8 a; uint64_t b; u16 c; }; => 11: a 0 b 1 c 9",
        "struct { u8 a; u64 b; u16 c; } __attribute__((packed)) x; => 11: a 0 b 1 c 9",
        "struct { u8 a; int b __attribute__((packed)), c; }; => 12: a 0 b 1 c 8",
        "struct { u8 a; struct { u8 b; struct { u16 c; double d; } in; } out[2]; u8 e; };
         => 64: a 0 out 8 e 56",
        "struct { char c; union { u64 u; const float f; u8 raw[12]; }; short int s; }
         => 32: c 0 u 8 f 8 raw 8 s 24",
        "struct a { char c; int i; short s; };
         #pragma pack(1)
         struct { u8 a; a s; u64 b; }; => 21: a 0 s 1 b 13",
        "struct { u16 m[2][3]; /* ; */ u64 n; // x\n u8 o[0x2 * 8UL]; }; => 40: m 0 n 16 o 24",
        "union { u8 a[9]; u64 b; struct { u8 c; int d; } s; } => 16: a 0 b 0 s 0",
    ];

    #[test]
    fn sizes_and_offsets_are_those_of_the_compilers() {
        for (source, expected) in COMPILED.iter().filter_map(|case| case.split_once(" => ")) {
            let layout = Layout::parse(source).unwrap();
            let Kind::Record(fields) = &layout.0.kind else { unreachable!() };
            let offsets = fields.iter().map(|f| format!(" {} {}", f.name, f.offset));
            let found = format!("{}:{}", layout.size(), offsets.collect::<String>());
            assert_eq!(found, expected, "{source}");
        }
        let long = Layout::parse("struct { unsigned long int l; }").unwrap();
        assert_eq!(long.size(), size_of::<c_long>() as u64);
    }

    #[test]
    fn values_are_shown_as_text_and_json() {
        let source = "struct vec { float x, y; }; struct { vec at[2]; i16 n[2]; char name[2][4]; char16_t w[2]; }";
        let layout = Layout::parse(source).unwrap();
        let floats = [0.1, f32::NAN, -2.0, f32::INFINITY].map(f32::to_ne_bytes).concat();
        let numbers = [-1_i16, 7].map(i16::to_ne_bytes).concat();
        let wide = [0xe9_u16, 0].map(u16::to_ne_bytes).concat();
        let bytes = [&floats[..], &numbers, b"ok\0x\x1b\xff\"\0", &wide].concat();
        let text = "at[0].x = 0.1\nat[0].y = NaN\nat[1].x = -2.0\nat[1].y = inf\n\
                    n       = [-1, 7]\nname    = [\"ok\", \"\\u{1b}\u{fffd}\\\"\"]\nw       = \"é\"\n";
        assert_eq!(layout.to_text(&bytes), text);
        let at = serde_json::json!([{ "x": 0.1, "y": "NaN" }, { "x": -2.0, "y": "inf" }]);
        let name = ["ok", "\u{1b}\u{fffd}\""];
        let json = serde_json::json!({ "at": at, "n": [-1, 7], "name": name, "w": "é" });
        assert_eq!(layout.to_json(&bytes), json);
        assert!(layout.to_text(&bytes[..17]).ends_with("(missing)\n"));
        assert!(layout.to_json(&[])["w"].is_null());
    }

    #[test]
    fn refusals_say_where_and_what_to_write() {
        let deep = format!("{}{}", "struct { ".repeat(100_000), "x");
        for (source, at, says) in [
            ("struct { i32 *p; }", "line 1, column 14, at `*`", "u64"),
            ("struct {\n  u32 a:3; }", "line 2, column 8, at `:`", "the whole"),
            ("struct { enum e x; }", "at `enum`", "i32"),
            ("struct { int n; u8 data[]; }", "at `]`", "length"),
            ("struct { int (*f)(int); }", "at `(`", "u64"),
            ("struct { u64 a[0x10000000000]; }", "at `a`", "raw"),
            ("struct { u8 a[4294967296 * 4294967296]; }", "at `a`", "raw"),
            ("struct { u8 a[N]; }", "at `N`", "4*16"),
            ("struct { int a; float a; }", "at `struct`", "another name"),
            ("struct { next: u8 }", "at `next`", "`i32 id;`"),
            ("#pragma pack(3)\nstruct { int a; }", "at `#`", "pack(n)"),
            ("struct { int a; ", "at the end", "`}`"),
            ("", "at the end", "a struct"),
            (&deep, "at `struct`", "nested"),
        ] {
            let error = Layout::parse(source).unwrap_err().to_string();
            assert!(error.contains(at) && error.contains(says), "{error}");
        }
    }
}
