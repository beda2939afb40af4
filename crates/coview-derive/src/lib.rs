//! `#[derive(Record)]` for coview: writes down the layout of a struct that stands in shared memory.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, parse_macro_input};

/// The layout of a struct, for `coview::Region` and the tools that read one without knowing its type.
///
/// The struct is `repr(C)` (fields in the order of their declaration, as in C) or `repr(transparent)` (the layout of its one
/// field). Its fields are numbers of fixed width, arrays, and other such structs. The traits of zerocopy are derived beside it; the
/// trait `coview::Record` shows an example.
#[proc_macro_derive(Record)]
pub fn derive_record(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record(&input).unwrap_or_else(|error| error.into_compile_error()).into()
}

fn record(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        let why = "only structs can stand in a region: of an enum or a union not every pattern of bytes is a value; \
                   use the integer, or a struct of bytes";
        return Err(Error::new(name.span(), why));
    };
    if !input.generics.params.is_empty() {
        let why = "a generic struct has no one layout: declare a struct for each type that it is used with";
        return Err(Error::new(input.generics.span(), why));
    }
    let schema = match (Repr::of(input)?, &data.fields) {
        (Repr::None, _) => {
            let why = "the order of its fields is open: write #[repr(C)] on the struct, so that they stand as declared, \
                       the same in every program";
            return Err(Error::new(name.span(), why));
        }
        (_, Fields::Unit) => return Err(Error::new(name.span(), "a struct without fields has nothing to share")),
        (Repr::Transparent, fields) if fields.len() == 1 => {
            let inner = fields.iter().map(|field| &field.ty);
            quote!(#(<#inner as ::coview::Record>::SCHEMA)*)
        }
        (Repr::Transparent, _) => return Err(Error::new(name.span(), "a transparent struct has one field here")),
        (Repr::C { packed }, fields) => of_fields(name, fields, packed),
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::coview::Record for #name {
            const SCHEMA: ::coview::region::Schema = #schema;
        }
    })
}

fn of_fields(name: &Ident, fields: &Fields, packed: bool) -> TokenStream {
    let text = plain(name);
    let entry = |(index, field): (usize, &Field)| {
        let ty = &field.ty;
        let member = match &field.ident {
            Some(ident) => quote!(#ident),
            None => TokenStream::from(proc_macro2::TokenTree::from(proc_macro2::Literal::usize_unsuffixed(index))),
        };
        let text = field.ident.as_ref().map_or_else(|| index.to_string(), plain);
        // A field that is no record is pointed at, not the derive.
        quote_spanned! {ty.span()=>
            ::coview::region::Field::new(
                #text,
                ::core::mem::offset_of!(#name, #member),
                <#ty as ::coview::Record>::SCHEMA,
            )
        }
    };
    let entries = fields.iter().enumerate().map(entry);
    let align = match packed {
        true => quote!(::core::mem::align_of::<#name>()),
        false => quote! {
            ::coview::region::Schema::natural_align(
                ::core::mem::size_of::<#name>(),
                ::core::mem::align_of::<#name>(),
                COVIEW_FIELDS,
            )
        },
    };
    quote! {{
        // A name that no array length of the user's has.
        const COVIEW_FIELDS: &[::coview::region::Field] = &[#(#entries),*];
        ::coview::region::Schema::record(#text, ::core::mem::size_of::<#name>(), #align, COVIEW_FIELDS)
    }}
}

/// `r#type` is called `type`.
fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

enum Repr {
    /// What the compiler likes.
    None,
    C {
        packed: bool,
    },
    Transparent,
}

impl Repr {
    fn of(input: &DeriveInput) -> syn::Result<Repr> {
        let (mut c, mut packed, mut transparent) = (false, false, false);
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            attribute.parse_nested_meta(|meta| {
                c |= meta.path.is_ident("C");
                packed |= meta.path.is_ident("packed");
                transparent |= meta.path.is_ident("transparent");
                if meta.input.peek(syn::token::Paren) {
                    // `align(8)`, `packed(2)`: the compiler knows what that makes.
                    let inside;
                    syn::parenthesized!(inside in meta.input);
                    inside.parse::<TokenStream>()?;
                }
                Ok(())
            })?;
        }
        Ok(match (c, transparent) {
            (true, _) => Repr::C { packed },
            (_, true) => Repr::Transparent,
            _ => Repr::None,
        })
    }
}
