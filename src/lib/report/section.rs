//! The page's sections: each with a heading of the right level, a name to jump to, and its line in
//! the table of contents.

use maud::{Markup, html};

/// A section before it stands on a page.
pub(super) struct Section {
    id: &'static str,
    title: String,
    body: Markup,
}

impl Section {
    pub(super) fn new(id: &'static str, title: impl Into<String>, body: Markup) -> Self {
        Self {
            id,
            title: title.into(),
            body,
        }
    }

    /// The section below a heading of the second level.
    pub(super) fn render(&self) -> Markup {
        html! {
            section id=(self.id) {
                h2 { (self.title) }
                (self.body)
            }
        }
    }

    /// The section as a part of another, below a heading of the third level; `within` tells its
    /// name from those of other parts.
    pub(super) fn render_within(&self, within: &str) -> Markup {
        html! {
            section id=(format!("{within}-{}", self.id)) {
                h3 { (self.title) }
                (self.body)
            }
        }
    }
}

/// The table of contents, where there is more than one section.
pub(super) fn contents(sections: &[Section]) -> Markup {
    html! {
        @if sections.len() > 1 {
            nav aria-label="Contents" {
                strong { "On this page" }
                ul {
                    @for section in sections {
                        li { a href=(format!("#{}", section.id)) { (section.title) } }
                    }
                }
            }
        }
    }
}
