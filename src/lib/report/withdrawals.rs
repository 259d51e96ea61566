//! What was withdrawn: the requests, what left when, where it was held, which models saw it, and
//! what could not be erased. It is written for readers who know nothing of the pipeline, and names
//! no clip: the ledger does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use maud::{Markup, html};

use super::ReportError;
use super::parts::{Column, card, table};
use super::section::Section;
use crate::erase::{FileHashes, HeldAt, KnownByRun, Ledger, Place};
use crate::progress::counted;
use crate::tables::ErasureRow;
use crate::withdrawn::Withdrawn;

/// Files left to a person that the page names; the rest is counted.
const LISTED: usize = 50;

/// What the ledger of withdrawals says.
pub(super) struct Withdrawals {
    requests: Vec<Request>,
    /// The folder that names of files and runs go by.
    data: PathBuf,
    /// What is wrong with the ledger's chain, where something is.
    broken: Option<String>,
    chain: Option<String>,
    /// Clips of the list of withdrawn clips that no request of the ledger names.
    waiting: usize,
}

/// One request and what was done about it.
struct Request {
    row: ErasureRow,
    clips: BTreeSet<String>,
    places: BTreeMap<String, HeldAt>,
    files: BTreeMap<String, FileHashes>,
    runs: BTreeMap<String, KnownByRun>,
    left: Vec<String>,
}

impl Request {
    fn deleted(&self) -> usize {
        let gone = |hashes: &&FileHashes| hashes.before.is_some() && hashes.after.is_none();
        self.files.values().filter(gone).count()
    }

    fn rewritten(&self) -> usize {
        let anew = |hashes: &&FileHashes| hashes.after.is_some() && hashes.before != hashes.after;
        self.files.values().filter(anew).count()
    }

    fn finished(&self) -> bool {
        self.row.finished.is_some()
    }
}

impl Withdrawals {
    /// Reads the ledger at `path`; `listed` are the clips that the list of withdrawn clips has.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn read(path: &Path, listed: &Withdrawn) -> Result<Self, ReportError> {
        let ledger = Ledger::open(path)?;
        let mut requests = Vec::new();
        for row in ledger.rows() {
            requests.push(Request {
                clips: ledger.json(row, &row.clips)?,
                places: ledger.json(row, &row.places)?,
                files: ledger.json(row, &row.files)?,
                runs: ledger.json(row, &row.runs)?,
                left: ledger.json(row, &row.left)?,
                row: row.clone(),
            });
        }
        let data = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            requests,
            data: data.to_owned(),
            broken: ledger.broken(),
            chain: ledger.chain().map(str::to_owned),
            waiting: listed.ids().difference(&ledger.clips()?).count(),
        })
    }

    /// The newest value of the ledger's chain.
    pub(super) fn chain(&self) -> Option<&str> {
        self.chain.as_deref()
    }

    /// Everything in one line.
    pub(super) fn one_line(&self) -> String {
        let clips: BTreeSet<&String> = self.requests.iter().flat_map(|r| &r.clips).collect();
        let open = self.requests.iter().filter(|r| !r.finished()).count();
        format!(
            "{} withdrawn by {}, {open} of them not finished",
            counted(clips.len(), "clip"),
            counted(self.requests.len(), "request")
        )
    }

    /// Checkpoints that saw a clip: their run, their file, and each request with how.
    fn checkpoints(&self) -> BTreeMap<(&str, &str), BTreeMap<&str, &str>> {
        let mut found: BTreeMap<(&str, &str), BTreeMap<&str, &str>> = BTreeMap::new();
        for request in &self.requests {
            for (run, known) in &request.runs {
                for (file, how) in &known.checkpoints {
                    let of_file = found.entry((run, file)).or_default();
                    of_file.insert(&request.row.request, how);
                }
            }
        }
        found
    }

    /// The section about withdrawals, with a part for each question that is asked about them.
    pub(super) fn section(&self) -> Section {
        let clips: BTreeSet<&String> = self.requests.iter().flat_map(|r| &r.clips).collect();
        let sum = |count: &dyn Fn(&Request) -> usize| -> String {
            self.requests.iter().map(count).sum::<usize>().to_string()
        };
        let body = html! {
            (self.notes())
            div.cards {
                (card(&clips.len().to_string(), "clips withdrawn", ""))
                (card(&self.requests.len().to_string(), "requests", ""))
                (card(&sum(&Request::deleted), "files deleted", ""))
                (card(&sum(&Request::rewritten), "files written anew", "without the clips"))
                (card(&self.checkpoints().len().to_string(), "files of models that saw one", "they stay, and are marked"))
            }
        };
        Section::new("withdrawals", "Withdrawals", body).with_parts(vec![
            self.timeline(),
            self.places(),
            self.models(),
            self.left(),
        ])
    }

    /// What must be known before the rest is read.
    fn notes(&self) -> Markup {
        html! {
            @if let Some(problem) = &self.broken {
                p.note.warn {
                    strong { "The ledger is not as it was written: " (problem) "." }
                    " What stands below may not be what was done."
                }
            }
            @for request in self.requests.iter().filter(|r| !r.finished()) {
                p.note.warn {
                    strong { "Request " (request.row.request) " was begun and is not finished." }
                    " Clips of it may still be held."
                }
            }
            @if self.waiting > 0 {
                p.note.warn {
                    strong { (self.waiting) " clips are in the list of withdrawn clips and were never erased." }
                    " Nothing uses them; what is held of them is still held."
                }
            }
        }
    }

    fn timeline(&self) -> Section {
        let columns = [
            Column::number("no."),
            Column::text("request"),
            Column::text("begun"),
            Column::text("finished"),
            Column::number("clips"),
            Column::number("files deleted"),
            Column::number("written anew"),
            Column::number("bytes held before"),
        ];
        let rows = html! {
            @for request in &self.requests {
                tr {
                    td.n { (request.row.number) }
                    th.name scope="row" { (request.row.request) }
                    td { (request.row.begun) }
                    td { (request.row.finished.as_deref().unwrap_or("not finished")) }
                    td.n { (request.clips.len()) }
                    td.n { (request.deleted()) }
                    td.n { (request.rewritten()) }
                    (bytes_cell(request.places.values().map(|held| held.bytes).sum()))
                }
            }
        };
        let body = html! {
            p {
                "Each request in the order in which it was carried out. Times are UTC. Deleted files are gone; files written anew hold "
                "everything that they held but the clips."
            }
            (table("Requests", &columns, &rows))
            @if let Some(chain) = self.chain() {
                p {
                    "The ledger's newest chain value is " code { (chain) } ". Each row's value is made from the row and the value "
                    "before it: who keeps this one notices when a row is changed or missing later."
                }
            }
        };
        Section::new("when", "What left when", body)
    }

    fn places(&self) -> Section {
        let columns = [
            Column::text("request"),
            Column::text("place"),
            Column::number("things"),
            Column::number("bytes"),
        ];
        let rows = html! {
            @for request in &self.requests {
                @for (place, held) in &request.places {
                    tr {
                        td.name { (request.row.request) }
                        th.name scope="row" { (in_words(place)) }
                        td.n { (held.things) }
                        (bytes_cell(held.bytes))
                    }
                }
            }
        };
        let body = html! {
            p { "What was found of the clips when each request began, and was then taken away." }
            (table("Places", &columns, &rows))
        };
        Section::new("places", "Where they were held", body)
    }

    fn models(&self) -> Section {
        let checkpoints = self.checkpoints();
        let judged = self.requests.iter().flat_map(|request| {
            let known = request.runs.iter();
            let with = known.map(|(run, known)| (run, &request.row.request, known.judged));
            with.filter(|(_, _, judged)| *judged > 0)
        });
        let columns = ["run", "file", "how, by request", "today"].map(Column::text);
        let how = |how: &BTreeMap<&str, &str>| {
            let each = how
                .iter()
                .map(|(request, how)| format!("{how} ({request})"));
            each.collect::<Vec<_>>().join(", ")
        };
        let rows = html! {
            @for (&(run, file), requests) in &checkpoints {
                tr {
                    td.name { (run) }
                    th.name scope="row" { code { (file) } }
                    td { (how(requests)) }
                    td { (if self.is_there(run, file) { "still there" } else { "no longer there" }) }
                }
            }
        };
        let body = html! {
            @if checkpoints.is_empty() {
                p { "No model that this ledger knows of was trained on one of the clips, or chosen by one." }
            } @else {
                p {
                    "A model was trained on a clip if the clip's pictures changed its weights. It was selected by a clip if the clip only "
                    "took part in choosing which weights were kept. Both stay as they are, are marked, and training does not go on from them."
                }
                (table("Models", &columns, &rows))
            }
            @for (run, request, judged) in judged {
                p { (run) " was judged with " (judged) " clips of request " (request) ". Its figures stay as they were judged." }
            }
        };
        Section::new("models", "Models that saw them", body)
    }

    fn is_there(&self, run: &str, file: &str) -> bool {
        self.data.join(run).join(file).exists()
    }

    fn left(&self) -> Section {
        let by_hand: BTreeSet<&String> = self.requests.iter().flat_map(|r| &r.left).collect();
        let checkpoints = self.checkpoints();
        let there = |(run, file): &&(&str, &str)| self.is_there(run, file);
        let still = checkpoints.keys().filter(there).count();
        let body = html! {
            ul {
                @if still > 0 {
                    li {
                        (still) " files of models that saw a clip. What a model has learned cannot be taken out of it file by file: it is "
                        "deleted, trained anew, or gone back behind."
                    }
                }
                @for file in by_hand.iter().take(LISTED) { li { code { (file) } ": left to a person, who must look at it." } }
                @if by_hand.len() > LISTED { li { (by_hand.len() - LISTED) " more files, left to a person." } }
                li { "Blocks of the disk that were freed and not yet written over, snapshots of the disk, and backups." }
                li { "Copies that somebody has made elsewhere, and the same scene in a video that was encoded anew under another name." }
                li { "The label rows: which clip there once was, and that it is withdrawn." }
            }
            p {
                "This page says what a program did and found. It does not say that any law is complied with, nor that a model has "
                "forgotten: weights cannot show what they were not trained on."
            }
        };
        Section::new("left", "What could not be erased", body)
    }
}

/// What a place is, for readers who do not know the pipeline.
fn in_words(place: &str) -> &str {
    match place.parse() {
        Ok(Place::Labels) => "tables of labels",
        Ok(Place::Raw) => "video files",
        Ok(Place::FrameFolders) => "single pictures in folders",
        Ok(Place::Archives) => "archives as they were downloaded",
        Ok(Place::Staging) => "unfinished downloads",
        Ok(Place::Downloads) => "record of downloads",
        Ok(Place::Data) => "single files beside the data: logs, pages, lists",
        Ok(Place::Shards) => "decoded pictures, as training reads them (shards)",
        Ok(Place::Cache) => "decoded pictures that were fetched from an object store (cache)",
        Ok(Place::Store) => "decoded pictures in an object store",
        Ok(Place::Manifest) => "table of all clips (manifest)",
        Ok(Place::Tasks) => "lists of what is trained on when (tasks)",
        Ok(Place::Features) => "numbers that a model made of them (features)",
        Ok(Place::Runs) => "records of training (runs): predictions, texts, pages",
        Err(_) => place,
    }
}

/// A cell of bytes, which is sorted by their number.
fn bytes_cell(n: i64) -> Markup {
    html! { td.n data-sort=(n) { (HumanBytes(u64::try_from(n).unwrap_or(0))) } }
}
