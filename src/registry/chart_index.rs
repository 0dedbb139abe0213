//! Reads the index of a Helm repository (`index.yaml`), event by event: indexes have tens of megabytes, and little of
//! them is kept.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use yaml_rust2::parser::{Event, Parser};

use crate::image::{Digest, Tag, chart};

/// The most charts and versions that are kept.
const MOST_VERSIONS: usize = 30_000;
/// The size of all texts that are kept, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// The bytes that a digest takes.
const DIGEST_BYTES: usize = 80;
/// The longest text that is kept: the URL of an archive.
const LONGEST: usize = 2048;
/// The deepest nesting. The parser itself is not recursive.
const DEPTH: usize = 100;

/// A version of a chart, as an index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartVersion {
    /// The version, as a tag.
    pub tag: Tag,
    /// The digest of its archive; if the index gives none, that of its entry, which tells it from others as well.
    pub digest: Digest,
    /// When it was added.
    pub created: Option<Timestamp>,
    /// The URL of its archive, which may be relative to that of the repository.
    pub url: Option<String>,
    /// True if it should no longer be chosen.
    pub is_deprecated: bool,
}

/// The versions of each chart in an index, except those that were removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charts {
    versions: HashMap<String, Vec<ChartVersion>>,
    /// The size in memory, in bytes, approximately.
    size: usize,
}

/// The reason why a text is not an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum IndexError {
    /// It is not YAML.
    #[error("line {line}: {reason}")]
    Syntax { line: usize, reason: String },
    /// It is not UTF-8 text.
    #[error("it is not text")]
    NotText,
    /// It has no entries.
    #[error("it has no `entries`")]
    NoEntries,
    /// It is nested too deeply.
    #[error("it is nested in more than {DEPTH} levels")]
    TooDeep,
    /// It is too large.
    #[error("it lists more than {MOST_VERSIONS} versions, or {MOST_BYTES} bytes of them")]
    TooLarge,
}

impl Charts {
    /// Reads an index.
    ///
    /// # Errors
    /// It is not an index, or too large.
    pub fn read(bytes: &[u8]) -> Result<Charts, IndexError> {
        let text = std::str::from_utf8(bytes).map_err(|_| IndexError::NotText)?;
        let mut parser = Parser::new_from_str(text.trim_start_matches('\u{feff}'));
        let mut reading = Reading::default();
        loop {
            let (event, _) = parser
                .next_token()
                .map_err(|error| IndexError::Syntax { line: error.marker().line(), reason: error.info().to_owned() })?;
            if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
                break;
            }
            reading.take(event)?;
        }
        if reading.has_entries { Ok(reading.charts) } else { Err(IndexError::NoEntries) }
    }

    /// Returns the versions of a chart, in the order of the index.
    pub fn versions(&self, chart: &str) -> Option<&[ChartVersion]> {
        self.versions.get(chart).map(Vec::as_slice)
    }

    /// Returns the size in memory, in bytes, approximately.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// An open collection.
enum Frame {
    /// A mapping, with the key whose value comes next.
    Mapping(Option<String>),
    Sequence,
}

/// The fields of an entry that were read so far.
#[derive(Default)]
struct Entry {
    version: Option<String>,
    digest: Option<String>,
    created: Option<String>,
    url: Option<String>,
    is_deprecated: bool,
    is_removed: bool,
}

/// An index that was read in part.
#[derive(Default)]
struct Reading {
    open: Vec<Frame>,
    entry: Entry,
    charts: Charts,
    /// The versions of the chart that is being read.
    seen: HashSet<Tag>,
    /// True if that chart was listed before: only the first list counts.
    is_repeated: bool,
    has_entries: bool,
    versions: usize,
    bytes: usize,
}

impl Reading {
    fn take(&mut self, event: Event) -> Result<(), IndexError> {
        match event {
            Event::MappingStart(..) => self.begin(Frame::Mapping(None)),
            Event::SequenceStart(..) => {
                self.begin(Frame::Sequence)?;
                self.begin_chart()
            }
            Event::MappingEnd => self.end(),
            Event::SequenceEnd => {
                self.open.pop();
                self.value_ended();
                Ok(())
            }
            Event::Scalar(text, ..) => {
                self.scalar(text);
                Ok(())
            }
            // Helm writes no aliases.
            Event::Alias(_) => {
                self.scalar(String::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, frame: Frame) -> Result<(), IndexError> {
        if self.open.len() == DEPTH {
            return Err(IndexError::TooDeep);
        }
        self.open.push(frame);
        if self.chart_of_entry().is_some() {
            self.entry = Entry::default();
        }
        self.has_entries |=
            matches!(self.open.as_slice(), [Frame::Mapping(Some(key)), Frame::Mapping(None)] if key == "entries");
        Ok(())
    }

    /// Begins the list of a chart's versions, if that is what has been opened.
    fn begin_chart(&mut self) -> Result<(), IndexError> {
        let [Frame::Mapping(Some(root)), Frame::Mapping(Some(chart)), Frame::Sequence] = self.open.as_slice() else {
            return Ok(());
        };
        if root == "entries" {
            let chart = chart.clone();
            self.seen.clear();
            self.is_repeated = self.charts.versions.contains_key(&chart);
            self.count(chart.len())?;
            self.charts.versions.entry(chart).or_default();
        }
        Ok(())
    }

    /// Counts something that is kept.
    fn count(&mut self, bytes: usize) -> Result<(), IndexError> {
        self.versions += 1;
        self.bytes += bytes;
        self.charts.size += bytes + size_of::<ChartVersion>() + DIGEST_BYTES;
        let is_too_large = self.versions > MOST_VERSIONS || self.bytes > MOST_BYTES;
        if is_too_large { Err(IndexError::TooLarge) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), IndexError> {
        if let Some(chart) = self.chart_of_entry() {
            let chart = chart.to_owned();
            let entry = std::mem::take(&mut self.entry);
            self.keep(chart, entry)?;
        }
        self.open.pop();
        self.value_ended();
        Ok(())
    }

    /// Returns the chart whose entry is the innermost open mapping: `entries.CHART[]`.
    fn chart_of_entry(&self) -> Option<&str> {
        match self.open.as_slice() {
            [Frame::Mapping(Some(root)), Frame::Mapping(Some(chart)), Frame::Sequence, Frame::Mapping(None)]
                if root == "entries" =>
            {
                Some(chart)
            }
            _ => None,
        }
    }

    /// Notes that the value of a key is complete.
    fn value_ended(&mut self) {
        if let Some(Frame::Mapping(key)) = self.open.last_mut() {
            *key = None;
        }
    }

    fn scalar(&mut self, text: String) {
        if let Some(Frame::Mapping(key @ None)) = self.open.last_mut() {
            // A longer key is none that is looked for.
            *key = Some(if text.len() > LONGEST { String::new() } else { text });
            return;
        }
        let text = (text.len() <= LONGEST && !text.is_empty()).then_some(text);
        match self.open.as_slice() {
            [_, _, Frame::Sequence, Frame::Mapping(Some(key))] => match key.as_str() {
                "version" => self.entry.version = text,
                "digest" => self.entry.digest = text,
                "created" => self.entry.created = text,
                "deprecated" => self.entry.is_deprecated = text.as_deref() == Some("true"),
                "removed" => self.entry.is_removed = text.as_deref() == Some("true"),
                _ => {}
            },
            [_, _, Frame::Sequence, Frame::Mapping(Some(key)), Frame::Sequence] if key == "urls" => {
                self.entry.url = self.entry.url.take().or(text);
            }
            _ => {}
        }
        self.value_ended();
    }

    fn keep(&mut self, chart: String, entry: Entry) -> Result<(), IndexError> {
        let tag = entry.version.as_deref().and_then(|version| chart::tag_of(version).ok());
        let Some(tag) = tag.filter(|_| !entry.is_removed && !self.is_repeated) else { return Ok(()) };
        if !self.seen.insert(tag.clone()) {
            return Ok(());
        }
        self.count(entry.url.as_ref().map_or(0, String::len) + tag.as_str().len() * 2)?;
        let given = entry.digest.as_deref().map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
        let given = given.and_then(|hex| format!("sha256:{}", hex.to_ascii_lowercase()).parse().ok());
        let digest = given.unwrap_or_else(|| {
            let entry = format!("{tag}\n{:?}\n{:?}", entry.url, entry.created);
            Digest::sha256(&Sha256::digest(entry).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        });
        let created = entry.created.and_then(|at| at.parse().ok());
        let version = ChartVersion { tag, digest, created, url: entry.url, is_deprecated: entry.is_deprecated };
        self.charts.versions.entry(chart).or_default().push(version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
apiVersion: v1
entries:
  shop:
  - apiVersion: v2
    created: \"2025-11-02T10:00:00.123456789+02:00\"
    dependencies:
    - name: redis
      version: 9.9.9
    digest: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    maintainers: [{name: x, version: y}]
    name: shop
    urls:
    - shop-1.2.0.tgz
    - https://elsewhere.example.com/shop-1.2.0.tgz
    version: 1.2.0
  - version: 1.1.0
    deprecated: true
  - version: 1.0.9
    removed: true
  - {version: \"1.0.0+git.1\", urls: [a.tgz]}
  - version: 1.2.0
  - version: not a version
  empty: []
  shop:
  - version: 9.9.9
generated: \"2025-11-02T10:00:00Z\"
";

    #[test]
    fn versions_are_read_without_those_that_were_removed() {
        let charts = Charts::read(INDEX.as_bytes()).expect("an index");
        let versions = charts.versions("shop").expect("listed");
        let tags: Vec<&str> = versions.iter().map(|version| version.tag.as_str()).collect();
        assert_eq!(tags, ["1.2.0", "1.1.0", "1.0.0_git.1"]);
        assert!(versions[1].is_deprecated && !versions[2].is_deprecated);
        assert_eq!(versions[0].url.as_deref(), Some("shop-1.2.0.tgz"));
        assert!(versions[0].digest.as_str().starts_with("sha256:0123456789abcdef"));
        assert_eq!(versions[0].created.map(|at| at.to_string()).as_deref(), Some("2025-11-02T08:00:00.123456789Z"));
        assert!(versions[2].created.is_none());
        assert!(charts.versions("redis").is_none());
        assert_eq!(charts.versions("empty"), Some([].as_slice()));
    }

    #[test]
    fn an_index_may_be_json() {
        let json = r#"{"entries": {"shop": [{"version": "1.0.0", "urls": ["a.tgz"], "created": null}]}}"#;
        let charts = Charts::read(json.as_bytes()).expect("an index");
        assert_eq!(charts.versions("shop").expect("listed")[0].url.as_deref(), Some("a.tgz"));
    }

    #[test]
    fn what_is_not_an_index_is_refused() {
        let read = |text: &str| Charts::read(text.as_bytes()).map(drop);
        assert_eq!(read("<html></html>"), Err(IndexError::NoEntries));
        assert_eq!(read(""), Err(IndexError::NoEntries));
        assert_eq!(read("entries: []\n"), Err(IndexError::NoEntries));
        assert_eq!(read("entries: {}\n"), Ok(()));
        assert!(matches!(read("entries: [\n"), Err(IndexError::Syntax { .. })));
        assert_eq!(Charts::read(b"entries: \xff").map(drop), Err(IndexError::NotText));
        assert_eq!(read(&"- ".repeat(DEPTH + 1)), Err(IndexError::TooDeep));
    }

    #[test]
    fn what_is_kept_is_limited() {
        let mut index = "entries:\n  shop:\n".to_owned();
        for number in 0..12_000 {
            index.push_str(&format!("  - {{version: 1.0.{number}, urls: [{}]}}\n", "x".repeat(1_900)));
        }
        assert_eq!(Charts::read(index.as_bytes()), Err(IndexError::TooLarge));
        let charts: String = (0..=MOST_VERSIONS).map(|number| format!("  a{number}: []\n")).collect();
        assert_eq!(Charts::read(format!("entries:\n{charts}").as_bytes()), Err(IndexError::TooLarge));
        let long = format!("entries:\n  shop:\n  - {{version: 1.0.0, urls: [{}]}}\n", "x".repeat(LONGEST + 1));
        let charts = Charts::read(long.as_bytes()).expect("an index");
        assert_eq!(charts.versions("shop").expect("listed")[0].url, None);
    }
}
