//! Subtitles (SubRip and WebVTT): what is said, cue by cue, under the time at which it begins.
//!
//! Called by: `extract`. Talks to: `charset`.
//! Invariants: marks of style and numbers of cues are not text; a speaker's name is. A time stands
//! as a heading over about a minute of what is said, so that a passage is cited with it.

use super::charset::{declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::BlockKind;

/// Seconds of speech under one heading.
const UNDER_HEADING: u32 = 60;

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
    let mut headed: Option<u32> = None;
    // Lines before the first time of a cue are numbers, styles and notes.
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some((from, to)) = line.split_once("-->") {
            let from = from.trim().to_owned();
            let begins = seconds(&from)
                .filter(|at| headed.is_none_or(|last| !(last..last + UNDER_HEADING).contains(at)));
            if let Some(at) = begins {
                end(&mut cue, out)?;
                let time = format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
                out.block(&BlockKind::Heading { level: 2 }, &time, None)?;
                headed = Some(at);
            }
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

/// The time at which a cue begins: `01:02:03,456`, or without hours.
fn seconds(time: &str) -> Option<u32> {
    let whole = time.split([',', '.']).next()?;
    let mut seconds = 0_u32;
    for part in whole.split(':') {
        let part = part.parse::<u32>().ok().filter(|part| *part < 1000)?;
        seconds = seconds.checked_mul(60)?.checked_add(part)?;
    }
    whole.contains(':').then_some(seconds)
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

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;
    use crate::types::BlockKind;

    #[test]
    fn what_is_said_stands_under_its_time() {
        let found = run(
            "a.srt",
            b"1\n00:00:01,000 --> 00:00:03,000\nWelcome.\n\n2\n00:00:40,500 --> 00:00:44,000\n\
              Sit down.\n\n3\n01:12:40,000 --> 01:12:44,000\nThe <i>budget</i> is four million.\n",
        );
        assert_eq!(
            found.texts(),
            ["00:00:01", "Welcome.", "Sit down.", "01:12:40", "The budget is four million."]
        );
        assert_eq!(found.blocks[3].kind, BlockKind::Heading { level: 2 });
        let found = run("a.vtt", b"WEBVTT\n\n01:05.000 --> 01:07.000\nHello.\n");
        assert_eq!(found.texts(), ["00:01:05", "Hello."]);
    }
}
