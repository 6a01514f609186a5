//! Values of vCard 2.1 that are written as quoted-printable, as old telephones and Outlook do.
//!
//! Called by: `cards::lines`. Talks to: `charset`, `encoding_rs`.
//! Invariants: never fails; what is not an escape stays as it is.

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::extract::charset::StreamDecoder;

/// True where the parameters of a property say how its value is written.
fn is_quoted(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let value = parameter.rsplit('=').next().unwrap_or_default();
        value.trim_matches('"').eq_ignore_ascii_case("quoted-printable")
    })
}

/// The value of a property as text.
pub(super) fn decoded<'v>(parameters: &str, value: &'v str) -> Cow<'v, str> {
    if !is_quoted(parameters) {
        return Cow::Borrowed(value);
    }
    let bytes = bytes(value);
    let declared = parameters.split(';').find_map(|parameter| {
        let (name, charset) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(charset.trim_matches('"'))
    });
    let mut text = String::new();
    let declared = declared.and_then(|label| Encoding::for_label_no_replacement(label.as_bytes()));
    StreamDecoder::new(declared).push(&bytes, true, &mut text);
    Cow::Owned(text)
}

fn bytes(value: &str) -> Vec<u8> {
    let raw = value.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        let code = (*byte == b'=').then(|| value.get(at + 1..at + 3)).flatten();
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;

    #[test]
    fn values_of_old_cards_are_decoded_with_their_charset_and_over_their_lines() {
        let found = run(
            "a.vcf",
            b"BEGIN:VCARD\r\nVERSION:2.1\r\n\
              N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;\r\n\
              FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg M=C3=BCller\r\n\
              TEL;CELL:+49 170 1234567\r\n\
              ADR;HOME;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:;;Stra=DFe 1;K=F6=\r\n\
              ln;;;\r\nNOTE:a=3Db=\r\nEND:VCARD\r\n",
        );
        assert_eq!(
            found.texts(),
            [
                "J\u{f6}rg M\u{fc}ller",
                "Telephone: +49 170 1234567\nAddress: Stra\u{df}e 1, K\u{f6}ln\nNote: a=3Db="
            ]
        );
    }
}
