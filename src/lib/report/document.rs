//! The frame of every page: head, style, header, footer, script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::tables::ErasureRow;

const STYLE: &str = include_str!("style.css");
/// Sorts, filters, copies and shows values; the page is whole without it.
const SCRIPT: &str = include_str!("script.js");
/// What a browser is told never to load: everything that is not in the page.
const NOTHING_FROM_ELSEWHERE: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// What differs from page to page.
pub(super) struct Document<'a> {
    /// What the page is of: `report` or `audit`.
    pub(super) kind: &'static str,
    pub(super) title: &'a str,
    /// What it says, in a line.
    pub(super) lead: &'a str,
    /// The newest value of the ledger of withdrawals, where the page tells of it.
    pub(super) chain: Option<&'a str>,
    pub(super) main: Markup,
    /// What stands below, behind the program's version.
    pub(super) foot: Markup,
}

impl Document<'_> {
    /// The page's HTML, not yet sealed.
    pub(super) fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(NOTHING_FROM_ELSEWHERE);
                    // The page's own hash, when it is sealed.
                    meta name="blake3" content="";
                    @if let Some(chain) = self.chain {
                        meta name=(ErasureRow::CHAIN_KEY) content=(chain);
                    }
                    title { "incdec: " (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.brand { "incdec " (self.kind) }
                        h1 { (self.title) }
                        p.lead { (self.lead) }
                    }
                    main { (self.main) }
                    footer {
                        "Written by incdec " (env!("CARGO_PKG_VERSION")) ". " (self.foot)
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        page.into_string()
    }
}
