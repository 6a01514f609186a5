//! What a mail says about itself: people, subject, date, and the thread it belongs to.
//!
//! Called by: `mail`, `mail::outlook`. Talks to: nothing.
//! Invariants: facts have the same keys and forms whatever format the mail came in; addresses
//! are lower case and lists of them are separated by `, `; among those a mail is to, an address
//! stands once, with the best name that the mail has for it.

mod person;

pub(super) use self::person::Person;
use crate::extract::clean::one_line;
use crate::extract::date::Written;
use crate::extract::emit::Output;

/// Words that mail programs put before the subject of a reply.
const REPLY: [&str; 9] = ["re", "aw", "sv", "antw", "antwort", "vs", "rif", "ref", "odp"];
/// And of a mail passed on.
const FORWARD: [&str; 6] = ["fw", "fwd", "wg", "tr", "wtr", "rv"];

/// The header of a mail.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) from: Vec<Person>,
    pub(super) to: Vec<Person>,
    pub(super) cc: Vec<Person>,
    pub(super) bcc: Vec<Person>,
    pub(super) subject: String,
    /// The date as the mail writes it.
    pub(super) date_text: String,
    pub(super) date: Option<Written>,
    pub(super) message_id: String,
    pub(super) in_reply_to: Vec<String>,
    /// Oldest first.
    pub(super) references: Vec<String>,
}

impl Envelope {
    /// True for a mail that passes another one on.
    pub(super) fn is_forward(&self) -> bool {
        bare_subject(&self.subject).1
    }

    /// The message that began the conversation, as far as the mail tells.
    fn thread_id(&self) -> &str {
        let root = self.references.first().or_else(|| self.in_reply_to.first());
        root.unwrap_or(&self.message_id)
    }

    /// Records the facts and returns the lines of the header that are searched and shown.
    pub(super) fn record(&mut self, out: &mut Output<'_>) -> String {
        person::settle(&mut self.from, [&mut self.to, &mut self.cc, &mut self.bcc]);
        let mut lines = String::new();
        let mut line = |name: &str, value: &str| {
            let value = one_line(value);
            if !value.is_empty() {
                lines.push_str(&format!("{name}: {value}\n"));
            }
        };
        line("From", &shown(&self.from));
        line("To", &shown(&self.to));
        line("Cc", &shown(&self.cc));
        line("Subject", &self.subject);
        line("Date", &self.date_text);

        out.title(&self.subject);
        self.from.iter().for_each(|author| out.author(&author.shown()));
        if let Some(author) = self.from.first() {
            out.fact("from_name", author.name());
            out.fact("from_address", &author.key());
        }
        for (name, people) in [("to", &self.to), ("cc", &self.cc), ("bcc", &self.bcc)] {
            out.fact(name, &shown(people));
            out.fact(&format!("{name}_addresses"), &addresses(people));
        }
        out.fact("message_id", &self.message_id);
        out.fact("in_reply_to", &self.in_reply_to.join(" "));
        out.fact("references", &self.references.join(" "));
        out.fact("thread_id", self.thread_id());
        out.fact("thread_subject", &bare_subject(&self.subject).0);
        out.written(self.date);
        lines
    }
}

fn shown(people: &[Person]) -> String {
    people.iter().map(Person::shown).collect::<Vec<_>>().join(", ")
}

fn addresses(people: &[Person]) -> String {
    let all: Vec<String> =
        people.iter().filter(|person| person.has_address()).map(Person::key).collect();
    all.join(", ")
}

/// A subject without the marks of replies, forwards and lists, in lower case, and whether its
/// first mark is that of a forward.
fn bare_subject(subject: &str) -> (String, bool) {
    let subject = one_line(subject).to_lowercase();
    let (mut rest, mut first) = (subject.as_str(), None);
    loop {
        rest = rest.trim_start();
        if let Some((_, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'))
            && !after.trim().is_empty()
        {
            rest = after;
            continue;
        }
        let Some((mark, after)) = rest.split_once(':') else { break };
        let mark = mark.trim_end_matches(|c: char| {
            c.is_ascii_digit() || matches!(c, '[' | ']' | '(' | ')' | '^' | ' ')
        });
        let is_forward = FORWARD.contains(&mark);
        if !is_forward && !REPLY.contains(&mark) {
            break;
        }
        first = first.or(Some(is_forward));
        rest = after;
    }
    (rest.to_owned(), first == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_a_conversation_are_the_same() {
        for subject in ["The plan", "Re: The  plan", "AW: [team] RE[2]: The plan", "Fwd: the Plan"]
        {
            assert_eq!(bare_subject(subject).0, "the plan", "{subject}");
        }
        assert!(bare_subject("WG: Plan").1 && !bare_subject("Re: Fwd: Plan").1);
        assert_eq!(bare_subject("Note: plan"), ("note: plan".to_owned(), false));
        assert_eq!(bare_subject("[only]"), ("[only]".to_owned(), false));
    }

    #[test]
    fn the_oldest_reference_names_the_thread() {
        let ids = |list: &[&str]| list.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let mut mail = Envelope { message_id: "3".to_owned(), ..Envelope::default() };
        assert_eq!(mail.thread_id(), "3");
        mail.in_reply_to = ids(&["2"]);
        assert_eq!(mail.thread_id(), "2");
        mail.references = ids(&["1", "2"]);
        assert_eq!(mail.thread_id(), "1");
    }
}
