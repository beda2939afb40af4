//! Reads a C struct declaration as it is written on the command line, and decodes bytes by it.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ffi::c_long;
use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Number, Value};

/// Types inside of types; more would overflow the stack.
const MAX_DEPTH: usize = 32;
/// Numbers and characters in a layout; more is not for reading, and nested arrays multiply.
const MAX_VALUES: u64 = 1 << 24;
/// `#pragma pack` at rest: no type here needs more.
const NATURAL: u64 = 16;

const ADDRESS: &str = "an address or handle means nothing in another process: declare u64 for its bits, \
                       or put what it points to into the struct";
const BIT_FIELD: &str = "compilers differ about bit-fields: declare the whole, such as `u32 flags;`";
const PRAGMA: &str = "of the lines with # only #pragma pack(n), pack(push, n) and pack(pop) are understood: \
                      leave others out, write numbers for macros";
const FLEXIBLE: &str = "an array needs its length: write the number of elements, as in `u8 data[16];`";
const FUNCTION: &str = "functions mean nothing in another process: leave it out, or u64 for a pointer";
const LENGTH: &str = "an array length is written in numbers: 64, 0x40 or 4*16";

/// The size of a struct and where in it which member stands.
#[derive(Debug)]
pub(crate) struct Layout(Rc<Type>);

#[derive(Debug)]
struct Type {
    size: u64,
    align: u64,
    /// How many numbers and characters it shows, the depth of its parts: both limited.
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

#[derive(Clone, Debug)]
struct Field {
    name: String,
    offset: u64,
    ty: Rc<Type>,
}

/// C's own words for numbers; some come in groups.
const WORDS: &[&str] = &[
    "signed", "unsigned", "char", "short", "int", "long", "float", "double", "__int8", "__int16", "__int32",
    "__int64",
];

/// The numbers are sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scalar {
    Signed(u64),
    Unsigned(u64),
    Float(u64),
    Bool,
    Text(u64),
}

/// Why a declaration cannot be used: where, and what to write instead.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayoutError {
    line: usize,
    column: usize,
    token: String,
    message: String,
}

impl Layout {
    /// The last struct or union in `text`; those before it are there to be used in it.
    pub(crate) fn parse(text: &str) -> Result<Layout, LayoutError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { source: text, tokens, pack: NATURAL, ..Parser::default() };
        while !parser.peek().text.is_empty() {
            parser.item()?;
        }
        match parser.last.take() {
            Some(record) => Ok(Layout(record)),
            None => parser.fail(parser.peek(), "no struct in it: write `struct { i32 id; char name[20]; }`"),
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
        let width = lines.iter().map(|(path, _)| path.chars().count().min(48)).max().unwrap_or(0);
        lines.iter().map(|(path, shown)| format!("{path:<width$} = {shown}\n")).collect()
    }

    /// An object with the members in their order. Where bytes are too short for one, null.
    pub(crate) fn to_json(&self, bytes: &[u8]) -> Value {
        self.0.value(0, bytes)
    }
}

impl Type {
    fn scalar(scalar: Scalar) -> Rc<Type> {
        let (size, align) = match scalar {
            Scalar::Bool => (1, 1),
            // Four on 32-bit Linux, eight elsewhere.
            Scalar::Float(8) => (8, align_of::<f64>() as u64),
            Scalar::Signed(8) | Scalar::Unsigned(8) => (8, align_of::<u64>() as u64),
            Scalar::Signed(n) | Scalar::Unsigned(n) | Scalar::Float(n) | Scalar::Text(n) => (n, n),
        };
        Rc::new(Type { size, align, values: 1, depth: 0, kind: Kind::Scalar(scalar) })
    }

    fn array(element: Rc<Type>, len: u64) -> Result<Rc<Type>, String> {
        let size = element.size.checked_mul(len).ok_or_else(too_large)?;
        let values = element.values.checked_mul(len).ok_or_else(too_large)?;
        let (align, depth) = (element.align, element.depth + 1);
        Type { size, align, values, depth, kind: Kind::Array(element, len) }.limited()
    }

    fn limited(self) -> Result<Rc<Type>, String> {
        if self.values > MAX_VALUES {
            return Err(too_large());
        }
        if self.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        Ok(Rc::new(self))
    }

    fn has_members(&self) -> bool {
        match &self.kind {
            Kind::Scalar(_) => false,
            Kind::Array(element, _) => element.has_members(),
            Kind::Record(_) => true,
        }
    }

    fn text_unit(&self) -> Option<u64> {
        match self.kind {
            Kind::Scalar(Scalar::Text(unit)) => Some(unit),
            _ => None,
        }
    }

    fn value(&self, offset: u64, bytes: &[u8]) -> Value {
        match &self.kind {
            Kind::Scalar(scalar) => slice(bytes, offset, self.size).map_or(Value::Null, |b| scalar.value(b)),
            Kind::Array(element, len) => match element.text_unit() {
                Some(unit) => slice(bytes, offset, self.size).map_or(Value::Null, |b| text(unit, b).into()),
                None => (0..*len).map(|i| element.value(offset + i * element.size, bytes)).collect(),
            },
            Kind::Record(fields) => {
                let member = |f: &Field| (f.name.clone(), f.ty.value(offset + f.offset, bytes));
                Value::Object(fields.iter().map(member).collect::<Map<_, _>>())
            }
        }
    }

    fn lines(&self, path: &str, offset: u64, bytes: &[u8], out: &mut Vec<(String, String)>) {
        match &self.kind {
            Kind::Record(fields) => {
                for Field { name, offset: within, ty } in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    ty.lines(&path, offset + within, bytes, out);
                }
            }
            Kind::Array(element, len) if element.has_members() => {
                for i in 0..*len {
                    element.lines(&format!("{path}[{i}]"), offset + i * element.size, bytes, out);
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
            (Kind::Scalar(Scalar::Float(_)), Value::String(not_finite)) => not_finite.clone(),
            // Debug, as it also escapes what terminals obey and JSON does not.
            (_, Value::String(text)) => format!("{text:?}"),
            (_, value) => value.to_string(),
        }
    }
}

impl Scalar {
    fn value(self, bytes: &[u8]) -> Value {
        let word = match *bytes {
            [a] => a.into(),
            [a, b] => u16::from_ne_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            _ => return Value::Null,
        };
        match self {
            Scalar::Unsigned(_) => word.into(),
            Scalar::Signed(size) => {
                let unused = 64 - 8 * size;
                (((word << unused) as i64) >> unused).into()
            }
            Scalar::Float(4) => float(f32::from_bits(word as u32)),
            Scalar::Float(_) => float(f64::from_bits(word)),
            // Another process may have put anything there.
            Scalar::Bool if word > 1 => word.into(),
            Scalar::Bool => (word == 1).into(),
            Scalar::Text(unit) => text(unit, bytes).into(),
        }
    }
}

/// By way of decimal digits, so that 0.1 as f32 does not become 0.10000000149011612.
fn float(number: impl fmt::Display) -> Value {
    let digits = number.to_string();
    let finite = digits.parse().ok().and_then(Number::from_f64);
    finite.map_or(Value::String(digits), Value::Number)
}

fn text(unit: u64, bytes: &[u8]) -> String {
    match unit {
        1 => {
            let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }
        2 => {
            let units = bytes.as_chunks().0.iter().map(|&pair| u16::from_ne_bytes(pair));
            let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
            String::from_utf16_lossy(&units)
        }
        _ => {
            let units = bytes.as_chunks().0.iter().map(|&quad| u32::from_ne_bytes(quad));
            let replaced = |unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
            units.take_while(|&unit| unit != 0).map(replaced).collect()
        }
    }
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    bytes.get(start..end)
}

fn too_deep() -> String {
    format!("types are nested more than {MAX_DEPTH} deep: declare less")
}

fn too_large() -> String {
    format!("more than {MAX_VALUES} numbers and characters: leave large arrays out, read their bytes raw")
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

fn tokens(source: &str) -> Result<Vec<Token<'_>>, LayoutError> {
    let mut found = Vec::new();
    let mut rest = source;
    loop {
        rest = rest.trim_start();
        let token = Token { text: "", at: source.len() - rest.len() };
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            let Some((_, after)) = rest[2..].split_once("*/") else {
                return Err(LayoutError::new(source, token, "a comment without its end: write */"));
            };
            rest = after;
        } else {
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            let len = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
            let (text, after) = rest.split_at(len);
            match text {
                "" => return Ok(found),
                "const" | "volatile" => {}
                _ => found.push(Token { text, ..token }),
            }
            rest = after;
        }
    }
}

struct Member<'a> {
    /// Empty if the members of this one count as those of the struct around it.
    name: Token<'a>,
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
    tags: HashMap<&'a str, Rc<Type>>,
    /// By typedef; nothing if it is a pointer.
    names: HashMap<&'a str, Option<Rc<Type>>>,
    last: Option<Rc<Type>>,
    depth: usize,
}

type Parsed<T> = Result<T, LayoutError>;

impl<'a> Parser<'a> {
    fn ahead(&self, by: usize) -> Token<'a> {
        let end = Token { text: "", at: self.source.len() };
        self.tokens.get(self.next + by).copied().unwrap_or(end)
    }

    fn peek(&self) -> Token<'a> {
        self.ahead(0)
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
        if self.accept(text) { Ok(()) } else { self.unexpected(&format!("`{text}`")) }
    }

    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        match self.peek().text {
            ":" => self.fail(self.peek(), BIT_FIELD),
            "(" => self.fail(self.peek(), FUNCTION),
            "=" => self.fail(self.peek(), "a layout has no initial values: leave it out"),
            "[" => self.fail(self.peek(), "an array outside of a struct: put it into one"),
            "#" => self.fail(self.peek(), "compilers differ about # here: write it before the struct"),
            _ => self.fail(self.peek(), format!("expected {wanted}")),
        }
    }

    fn fail<T>(&self, token: Token<'a>, message: impl Into<String>) -> Parsed<T> {
        Err(LayoutError::new(self.source, token, message))
    }

    fn item(&mut self) -> Parsed<()> {
        if self.accept(";") || self.forward() {
            return Ok(());
        }
        let token = self.peek();
        match token.text {
            "#" => self.pragma(),
            "typedef" => self.typedef(),
            "struct" | "union" => {
                self.record()?;
                // The name of a variable: nothing to us.
                self.next += usize::from(self.peek().is_word());
                self.end_of_item()
            }
            _ => self.fail(token, "only struct, union, typedef and #pragma pack stand outside of a struct"),
        }
    }

    /// `struct x;` and `typedef struct x x;` say nothing before the struct, and nothing new after it.
    fn forward(&mut self) -> bool {
        let len = match std::array::from_fn(|by| self.ahead(by).text) {
            ["struct" | "union", name, ";", ..] if name != "{" => 3,
            ["typedef", "struct" | "union", name, again, ";"] if name == again => 5,
            _ => 0,
        };
        self.next += len;
        len > 0
    }

    fn end_of_item(&mut self) -> Parsed<()> {
        if self.peek().text.is_empty() { Ok(()) } else { self.expect(";") }
    }

    fn typedef(&mut self) -> Parsed<()> {
        self.take();
        let (base, _) = self.base()?;
        loop {
            let pointer = self.peek().text == "*";
            while self.accept("*") {}
            let Member { name, ty, packed } = self.declarator(&base)?;
            if packed {
                return self.fail(name, "compilers ignore `packed` here: write it right after the `}`");
            }
            self.names.insert(name.text, (!pointer).then_some(ty));
            if !self.accept(",") {
                return self.end_of_item();
            }
        }
    }

    fn pragma(&mut self) -> Parsed<()> {
        let start = self.take();
        let mut arguments = Vec::new();
        if self.accept("pragma") && self.accept("pack") && self.accept("(") {
            while !self.accept(")") && !self.peek().text.is_empty() {
                arguments.push(self.take().text);
            }
        }
        let number = match *arguments.as_slice() {
            ["push"] | ["push", ",", _] => {
                self.packs.push(self.pack);
                arguments.get(2).copied()
            }
            ["pop"] => match self.packs.pop() {
                Some(pack) => return Ok(self.pack = pack),
                None => return self.fail(start, "pop without a push before it"),
            },
            [number] => Some(number),
            _ => Some(""),
        };
        match number {
            Some("0") => self.pack = NATURAL,
            Some(n @ ("1" | "2" | "4" | "8" | "16")) => self.pack = n.parse().unwrap_or(NATURAL),
            Some(_) => return self.fail(start, PRAGMA),
            None => {}
        }
        Ok(())
    }

    /// The type before the names, and whether it is a struct without any.
    fn base(&mut self) -> Parsed<(Rc<Type>, bool)> {
        let start = self.peek();
        if matches!(start.text, "struct" | "union") {
            return self.record();
        }
        let mut words = Vec::new();
        while WORDS.contains(&self.peek().text) {
            words.push(self.take().text);
        }
        if words.is_empty() {
            let ty = self.named(start)?;
            self.take();
            return Ok((ty, false));
        }
        match basic(&words) {
            Some(scalar) => Ok((Type::scalar(scalar), false)),
            None if words.contains(&"double") => {
                self.fail(start, "write plain float or double: others differ")
            }
            None => self.fail(start, format!("`{}` is no C type", words.join(" "))),
        }
    }

    fn named(&self, token: Token<'a>) -> Parsed<Rc<Type>> {
        match (self.names.get(token.text), self.tags.get(token.text)) {
            (Some(Some(ty)), _) | (None, Some(ty)) => return Ok(ty.clone()),
            (Some(None), _) => return self.fail(token, ADDRESS),
            (None, None) => {}
        }
        if let Some(scalar) = known(token.text) {
            return Ok(Type::scalar(scalar));
        }
        if let Some(why) = refused(token.text) {
            return self.fail(token, why);
        }
        match self.ahead(1).text {
            _ if !token.is_word() => self.unexpected("a type, or `}` at the end"),
            "*" => self.fail(token, ADDRESS),
            ":" => self.fail(token, "the type comes first, as in `i32 id;`"),
            _ => self.fail(token, "unknown type: declare it before, or write one such as i32"),
        }
    }

    /// As `base`.
    fn record(&mut self) -> Parsed<(Rc<Type>, bool)> {
        let keyword = self.take();
        let mut packed = self.attributes()?;
        let tag = self.peek().is_word().then(|| self.take());
        if let Some(tag) = tag.filter(|_| self.peek().text != "{") {
            return match self.tags.get(tag.text) {
                Some(ty) => Ok((ty.clone(), false)),
                None if self.peek().text == "*" => self.fail(tag, ADDRESS),
                None => self.fail(tag, format!("declare this {} before it is used", keyword.text)),
            };
        }
        self.expect("{")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(keyword, too_deep());
        }
        let mut members = Vec::new();
        while !self.accept("}") {
            self.member(&mut members)?;
        }
        self.depth -= 1;
        packed |= self.attributes()?;
        if members.is_empty() {
            return self.fail(keyword, "it has no members: compilers differ about its size");
        }
        let pack = if packed { 1 } else { self.pack };
        let ty = self.lay_out(keyword, pack, members)?;
        if let Some(tag) = tag
            && self.tags.insert(tag.text, ty.clone()).is_some()
        {
            return self.fail(tag, "declared twice: give one of them another name");
        }
        self.last = Some(ty.clone());
        Ok((ty, tag.is_none()))
    }

    fn member(&mut self, members: &mut Vec<Member<'a>>) -> Parsed<()> {
        let (base, unnamed) = self.base()?;
        if unnamed && self.peek().text == ";" {
            let name = Token { text: "", ..self.take() };
            members.push(Member { name, ty: base, packed: false });
            return Ok(());
        }
        loop {
            members.push(self.declarator(&base)?);
            if !self.accept(",") {
                return self.expect(";");
            }
        }
    }

    fn declarator(&mut self, base: &Rc<Type>) -> Parsed<Member<'a>> {
        let name = self.peek();
        match name.text {
            "*" | "&" => return self.fail(name, ADDRESS),
            _ if !name.is_word() => return self.unexpected("a name after the type"),
            _ => _ = self.take(),
        }
        let mut lengths = Vec::new();
        while self.accept("[") {
            lengths.push(self.length()?);
        }
        let mut ty = base.clone();
        for &len in lengths.iter().rev() {
            ty = Type::array(ty, len).or_else(|why| self.fail(name, why))?;
        }
        let packed = self.attributes()?;
        Ok(Member { name, ty, packed })
    }

    fn length(&mut self) -> Parsed<u64> {
        let mut product: u64 = 1;
        loop {
            let token = self.take();
            match token.text {
                "]" => return self.fail(token, FLEXIBLE),
                text => match integer(text).map(|factor| product.checked_mul(factor)) {
                    Some(Some(0)) => return self.fail(token, FLEXIBLE),
                    Some(Some(value)) => product = value,
                    Some(None) => return self.fail(token, too_large()),
                    None => return self.fail(token, LENGTH),
                },
            }
            if !self.accept("*") {
                break;
            }
        }
        if self.accept("]") { Ok(product) } else { self.fail(self.peek(), LENGTH) }
    }

    /// Whether they say `packed`.
    fn attributes(&mut self) -> Parsed<bool> {
        let mut packed = false;
        while self.accept("__attribute__") {
            self.expect("(")?;
            self.expect("(")?;
            while !self.accept(")") {
                let token = self.take();
                match token.text {
                    "packed" | "__packed__" => packed = true,
                    "," => {}
                    _ => return self.fail(token, "not understood: only packed is; declare padding as u8"),
                }
            }
            self.expect(")")?;
        }
        Ok(packed)
    }

    fn lay_out(&self, keyword: Token<'a>, pack: u64, members: Vec<Member<'a>>) -> Parsed<Rc<Type>> {
        let (mut end, mut size, mut align, mut values, mut depth) = (0, 0, 1, 0, 0);
        let mut fields = Vec::new();
        let mut names = HashSet::new();
        for Member { name, ty, packed } in members {
            let its_align = if packed { 1 } else { ty.align.min(pack) };
            let offset = if keyword.text == "union" { 0 } else { padded(end, its_align) };
            // No overflow: MAX_VALUES bounds the size of every type, and more than that fails here at once.
            end = offset + ty.size;
            size = end.max(size);
            align = its_align.max(align);
            values += ty.values;
            depth = depth.max(ty.depth);
            if values > MAX_VALUES {
                return self.fail(name, too_large());
            }
            match &ty.kind {
                Kind::Record(inner) if name.text.is_empty() => {
                    let moved = |f: &Field| Field { offset: offset + f.offset, ..f.clone() };
                    fields.extend(inner.iter().map(moved));
                }
                _ => fields.push(Field { name: name.text.to_owned(), offset, ty }),
            }
        }
        if let Some(twice) = fields.iter().find(|f| !names.insert(f.name.as_str())) {
            return self.fail(keyword, format!("it has two members `{}`: give one another name", twice.name));
        }
        let (size, depth) = (padded(size, align), depth + 1);
        let ty = Type { size, align, values, depth, kind: Kind::Record(fields) };
        ty.limited().or_else(|why| self.fail(keyword, why))
    }
}

fn padded(size: u64, align: u64) -> u64 {
    size.next_multiple_of(align)
}

fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['u', 'l']);
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok(),
        None => digits.parse().ok(),
    }
}

/// A type of C's own words, in whichever order they stand.
fn basic(words: &[&str]) -> Option<Scalar> {
    let (signs, mut words): (Vec<&str>, Vec<&str>) =
        words.iter().partition(|word| matches!(**word, "signed" | "unsigned"));
    words.sort_unstable();
    let size = match (words.join(" ").as_str(), signs.len()) {
        ("float", 0) => return Some(Scalar::Float(4)),
        ("double", 0) => return Some(Scalar::Float(8)),
        ("char", 0) => return Some(Scalar::Text(1)),
        ("char" | "__int8", _) => 1,
        ("short" | "int short" | "__int16", _) => 2,
        ("" | "int" | "__int32", _) => 4,
        ("long" | "int long", _) => size_of::<c_long>() as u64,
        ("long long" | "int long long" | "__int64", _) => 8,
        _ => return None,
    };
    match signs.as_slice() {
        [] | ["signed"] => Some(Scalar::Signed(size)),
        ["unsigned"] => Some(Scalar::Unsigned(size)),
        _ => None,
    }
}

fn known(name: &str) -> Option<Scalar> {
    use Scalar::{Bool, Float, Signed, Text, Unsigned};
    let word = size_of::<usize>() as u64;
    Some(match name {
        "i8" | "int8_t" | "INT8" => Signed(1),
        "i16" | "int16_t" | "INT16" | "SHORT" => Signed(2),
        "i32" | "int32_t" | "INT32" | "INT" | "LONG" | "LONG32" | "BOOL" => Signed(4),
        "i64" | "int64_t" | "INT64" | "LONGLONG" | "LONG64" => Signed(8),
        "u8" | "uint8_t" | "UINT8" | "BYTE" | "UCHAR" | "BOOLEAN" => Unsigned(1),
        "u16" | "uint16_t" | "UINT16" | "USHORT" | "WORD" => Unsigned(2),
        "u32" | "uint32_t" | "UINT32" | "UINT" | "ULONG" | "ULONG32" | "DWORD" | "DWORD32" => Unsigned(4),
        "u64" | "uint64_t" | "UINT64" | "ULONGLONG" | "ULONG64" | "DWORD64" | "DWORDLONG" => Unsigned(8),
        "isize" | "ssize_t" | "ptrdiff_t" | "intptr_t" | "SSIZE_T" | "LONG_PTR" => Signed(word),
        "usize" | "size_t" | "uintptr_t" | "SIZE_T" | "ULONG_PTR" | "DWORD_PTR" => Unsigned(word),
        "f32" | "FLOAT" => Float(4),
        "f64" | "DOUBLE" => Float(8),
        "bool" | "_Bool" => Bool,
        "CHAR" | "char8_t" => Text(1),
        "WCHAR" | "char16_t" => Text(2),
        "char32_t" => Text(4),
        "wchar_t" => Text(if std::env::consts::FAMILY == "windows" { 2 } else { 4 }),
        _ => return None,
    })
}

fn refused(name: &str) -> Option<&'static str> {
    Some(match name {
        "enum" => "the compiler chooses the size of an enum: write i32, or the integer it uses",
        "void" | "HANDLE" | "HWND" | "HMODULE" | "HINSTANCE" | "PVOID" => ADDRESS,
        _ if name.starts_with("LP") => ADDRESS,
        "_Atomic" | "std" => "write the plain type and its size, such as u32 for an atomic u32",
        "alignas" | "_Alignas" | "__declspec" => "alignment is not understood: declare padding as u8",
        "__attribute__" => "write the attribute after the name of the member",
        "__int128" | "i128" | "u128" => "too wide: write two u64",
        "static" | "public" | "private" | "protected" | "virtual" => {
            "write a plain struct, data members alone"
        }
        _ => return None,
    })
}

impl LayoutError {
    fn new(source: &str, token: Token<'_>, message: impl Into<String>) -> LayoutError {
        let before = source.get(..token.at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        LayoutError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            token: token.text.chars().take(40).collect(),
            message: message.into(),
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LayoutError { line, column, token, message } = self;
        match token.as_str() {
            "" => write!(f, "line {line}, column {column}: {message}"),
            _ => write!(f, "line {line}, column {column}, at `{}`: {message}", token.escape_debug()),
        }
    }
}

impl Error for LayoutError {}
