//! Subtitles (SubRip and WebVTT): what is said, cue by cue, with the time it begins.
//!
//! Called by: `extract`. Talks to: `charset`.
//! Invariants: marks of style and numbers of cues are not text; a speaker's name is.

use super::charset::{declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::source::Source;

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    let mut times: Option<(String, String)> = None;
    let mut cue = String::new();
    // Lines before the first time of a cue are numbers, styles and notes.
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some((from, to)) = line.split_once("-->") {
            let from = from.trim().to_owned();
            let to = to.split_whitespace().next().unwrap_or_default().to_owned();
            times = Some((times.map_or(from, |(first, _)| first), to));
            inside = true;
        } else if line.is_empty() {
            inside = false;
            end(&mut cue, out)?;
        } else if inside {
            if !cue.is_empty() {
                cue.push('\n');
            }
            cue.push_str(&spoken(line));
        }
    }
    end(&mut cue, out)?;
    if let Some((from, to)) = times {
        out.fact("begins", &from);
        out.fact("ends", &to);
    }
    Ok(())
}

fn end(cue: &mut String, out: &mut Output<'_>) -> Result<(), Stop> {
    out.paragraph(&std::mem::take(cue))
}

/// A line without marks; `<v Ann>` names who speaks.
fn spoken(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, mark) = rest.split_at(at);
        let tag = mark.starts_with('<');
        let closing = if tag { '>' } else { '}' };
        let after = mark[1..].chars().next().unwrap_or(' ');
        let is_mark = after == '\\' || (tag && (after.is_alphanumeric() || after == '/'));
        let Some(end) = mark.find(closing).filter(|_| is_mark) else {
            out.push_str(before);
            out.push_str(&mark[..1]);
            rest = &mark[1..];
            continue;
        };
        out.push_str(before);
        let inner = &mark[1..end];
        if inner.starts_with('v')
            && let Some((_, speaker)) = inner.split_once(' ')
        {
            out.push_str(speaker.trim());
            out.push_str(": ");
        }
        rest = &mark[end + 1..];
    }
    out.push_str(rest);
    out.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ")
}
