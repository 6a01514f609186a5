//! The configuration in force, fit to leave the site.
//!
//! Called by: `appliance`, `cli`. Talks to: nothing.
//! Invariants: numbers and switches are shown as they are; of texts only the words of a fixed
//! choice, so that a new secret or name in the configuration is masked without anybody thinking
//! of it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Config, DEFAULT_LOG};

/// Texts that say nothing about a site.
const WORDS: &[&str] = &["auto", "off", "file", "passphrase", "credential", DEFAULT_LOG];

impl Config {
    /// Every effective value, with texts masked that could name something.
    pub fn shown(&self) -> Value {
        let mut value = json!({
            "server": self.server,
            "ingest": self.ingest,
            "ocr": self.ocr,
            "search": self.search,
            "inference": self.inference,
            "keys": self.keys,
            "sources": self.sources,
        });
        mask(&mut value);
        value
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            if let Some(shown) = masked(text) {
                *text = shown;
            }
        }
        Value::Array(values) => {
            let count = values.len();
            *value = Value::String(format!("<{count} values>"));
        }
        Value::Object(fields) => fields.values_mut().for_each(mask),
    }
}

/// What to show in place of a text; none where it may be shown.
fn masked(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let shown = address.ip().is_loopback() || address.ip().is_unspecified();
        return (!shown).then(|| format!("<address>:{}", address.port()));
    }
    (!WORDS.contains(&text)).then(|| "<set>".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    #[test]
    fn names_and_paths_are_masked_and_numbers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cairn.toml");
        let text = "[server]\nlog = 'secret-module=debug'\nsession_hours = 3\n\
                    [inference]\nmodel_dir = '/srv/secret-name'\n";
        std::fs::write(&file, text).unwrap();
        let overrides = Overrides { config_file: Some(file), ..Overrides::default() };
        let config = Config::load(Some(dir.path().to_owned()), overrides).unwrap();
        let shown = config.shown();
        assert!(!shown.to_string().contains("secret"), "{shown:#}");
        assert_eq!(shown["server"]["session_hours"], 3);
        assert_eq!(shown["server"]["listen"], "127.0.0.1:8420");
        assert_eq!(shown["inference"]["model_dir"], "<set>");
        assert_eq!(masked("192.168.7.9:443").as_deref(), Some("<address>:443"));
    }
}
