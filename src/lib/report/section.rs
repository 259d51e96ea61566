//! The page's sections: each with a heading of the right level, a name to jump to, and its line in
//! the table of contents.

use maud::{Markup, html};

/// A section before it stands on a page.
pub(super) struct Section {
    id: String,
    title: String,
    body: Markup,
    parts: Vec<Section>,
}

impl Section {
    pub(super) fn new(id: impl Into<String>, title: impl Into<String>, body: Markup) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            body,
            parts: Vec::new(),
        }
    }

    /// The same with sections of its own behind its body.
    pub(super) fn with_parts(self, parts: Vec<Self>) -> Self {
        Self { parts, ..self }
    }

    /// The section below a heading of the second level.
    pub(super) fn render(&self) -> Markup {
        html! {
            section id=(self.id) {
                h2 { (self.title) }
                (self.body)
                @for part in &self.parts { (part.render_within(&self.id)) }
            }
        }
    }

    /// The section as a part of another, below a heading of the third level; `within` tells its
    /// name from those of other parts.
    pub(super) fn render_within(&self, within: &str) -> Markup {
        html! {
            section id=(self.id_within(within)) {
                h3 { (self.title) }
                (self.body)
            }
        }
    }

    fn id_within(&self, within: &str) -> String {
        format!("{within}-{}", self.id)
    }

    /// Its line in the table of contents, and those of its parts.
    fn line(&self) -> Markup {
        html! {
            li {
                a href=(format!("#{}", self.id)) { (self.title) }
                @if !self.parts.is_empty() {
                    ul {
                        @for part in &self.parts {
                            li { a href=(format!("#{}", part.id_within(&self.id))) { (part.title) } }
                        }
                    }
                }
            }
        }
    }
}

/// The table of contents, where there is more than one line in it.
pub(super) fn contents(sections: &[Section]) -> Markup {
    let lines: usize = sections.iter().map(|section| 1 + section.parts.len()).sum();
    html! {
        @if lines > 1 {
            nav aria-label="Contents" {
                strong { "On this page" }
                ul { @for section in sections { (section.line()) } }
            }
        }
    }
}
