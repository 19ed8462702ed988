//! What the query of a request for a listing asks for; see [`super::request`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::{Glob, Selection};

use super::query::Query;

/// What `GET /v1/NAMESPACE` asks for.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Which entries.
    pub selection: Selection,
    /// Values of more bytes than this are left out.
    pub inline: Option<u64>,
    /// The end of the answer is to be marked.
    pub end: bool,
}

/// The query of `GET /v1`: whether the end of the answer is to be marked.
pub fn write_namespaces() -> String {
    Query::default().on("end", true).write()
}

/// Reads the query of `GET /v1`.
///
/// # Errors
///
/// Where it asks for nothing that there is.
pub fn read_namespaces(query: Option<&str>) -> Result<bool, String> {
    Query::read(query, &["end"])?.flag("end")
}

/// The query of `GET /v1/NAMESPACE?op=info`.
pub const INFO: &str = "?op=info";

/// Reads it.
///
/// # Errors
///
/// Where it asks for something else too.
pub fn read_info(query: Option<&str>) -> Result<(), String> {
    Query::read(query, &["op"]).map(drop)
}

/// What `GET /v1/NAMESPACE?op=watch` asks for.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// Which entries are followed: their glob and their prefix count.
    pub selection: Selection,
    /// What is there is told first.
    pub now: bool,
}

impl Follow {
    /// Writes the query, with its `?`.
    pub fn write(&self) -> String {
        let Selection { glob, prefix, .. } = &self.selection;
        let query = Query::of("watch")
            .with("glob", glob.as_ref().map(Glob::pattern))
            .with("prefix", Some(prefix).filter(|prefix| !prefix.is_empty()));
        query.on("now", self.now).write()
    }

    /// Reads a query.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        let query = Query::read(query, &["op", "glob", "prefix", "now"])?;
        Ok(Self {
            selection: Selection {
                glob: read_glob(&query)?,
                prefix: query.bytes("prefix").unwrap_or_default(),
                ..Selection::default()
            },
            now: query.flag("now")?,
        })
    }
}

fn read_glob(query: &Query) -> Result<Option<Glob>, String> {
    let glob = query.bytes("glob").map(|glob| Glob::new(&glob)).transpose();
    glob.map_err(|err| format!("invalid `glob`: {err}"))
}

impl List {
    /// Writes the query, with its `?` where there is anything in it. That keys alone are wanted
    /// cannot be said.
    pub fn write(&self) -> String {
        let Selection {
            glob,
            prefix,
            from,
            to,
            reverse,
            limit,
            values,
            keys_only: _,
        } = &self.selection;
        let number = |number: u64| number.to_string();
        let query = Query::default()
            .with("glob", glob.as_ref().map(Glob::pattern))
            .with("prefix", Some(prefix).filter(|prefix| !prefix.is_empty()))
            .with("from", from.as_ref())
            .with("to", to.as_ref())
            .with("limit", limit.map(number))
            .on("reverse", *reverse)
            .on("values", *values)
            .with("inline", self.inline.map(number));
        query.on("end", self.end).write()
    }

    /// Reads a query. A `cursor` narrows the selection.
    ///
    /// # Errors
    ///
    /// Where it asks for nothing that there is.
    pub fn read(query: Option<&str>) -> Result<Self, String> {
        let known = [
            "glob", "prefix", "from", "to", "limit", "reverse", "values", "inline", "cursor", "end",
        ];
        let query = Query::read(query, &known)?;
        let number = |text: &str| -> Result<u64, String> {
            // The numbers of 64 bits of those who describe an interface have a sign.
            let number = text
                .parse()
                .ok()
                .filter(|number| i64::try_from(*number).is_ok());
            number.ok_or_else(|| "use a whole number".to_owned())
        };
        let cursor = query.parse("cursor", |text| {
            let cursor = URL_SAFE_NO_PAD.decode(text);
            cursor.map_err(|_| "use one that this service has returned".to_owned())
        })?;
        let mut selection = Selection {
            glob: read_glob(&query)?,
            prefix: query.bytes("prefix").unwrap_or_default(),
            from: query.bytes("from"),
            to: query.bytes("to"),
            reverse: query.flag("reverse")?,
            limit: query.parse("limit", number)?,
            values: query.flag("values")?,
            ..Selection::default()
        };
        match cursor {
            None => {}
            // It was among what was asked for, so that it is the narrower bound.
            Some(bound) if selection.reverse => selection.to = Some(bound),
            Some(bound) => selection.from = Some(bound),
        }
        Ok(Self {
            selection,
            inline: query.parse("inline", number)?,
            end: query.flag("end")?,
        })
    }
}
