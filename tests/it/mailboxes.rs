//! Mailboxes of a mail server as sources.
//!
//! Called by: cargo test. Talks to: a server, and a mail server on loopback.
//! Invariants: the mail server is only ever read, and no password comes back.

use serde_json::{Value, json};

use crate::harness::imap::{MailServer, PASSWORD, Security, USER, mail};
use crate::harness::{Home, sources};

/// A home that may reach mail servers on this machine.
pub fn home() -> Home {
    Home::with_config("[sources]\nallowed_hosts = ['localhost', '127.0.0.1']\n")
}

pub fn add(
    home: &Home,
    server: &MailServer,
    security: &str,
    more: &[&str],
) -> std::process::Output {
    add_to(home, server.port, &server.certificate, security, PASSWORD, more)
}

pub fn add_to(
    home: &Home,
    port: u16,
    trusted: &str,
    security: &str,
    password: &str,
    more: &[&str],
) -> std::process::Output {
    let port = port.to_string();
    let mut args = vec!["source", "add", "demo", "mail", "--imap", "localhost", "--port", &port];
    args.extend(["--user", USER, "--security", security, "--paused", "--json"]);
    let certificate = home.path().join("mail.pem");
    std::fs::write(&certificate, trusted).unwrap();
    if security != "plain" {
        args.extend(["--certificate", certificate.to_str().unwrap()]);
    }
    args.extend(more);
    home.output_with_input(&args, &format!("{password}\n"))
}

pub fn run(home: &Home) -> Value {
    let output = home.output(&["source", "run", "demo", "mail", "--json"]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

pub fn is_done(run: &Value, new: u64) {
    assert_eq!((&run["outcome"], &run["new"]), (&json!("done"), &json!(new)), "{run:#}");
}

#[test]
fn a_mailbox_is_read_once_over_tls_and_only_what_is_new_comes_after() {
    let (home, mails) = (home(), MailServer::start(Security::Tls));
    mails.deliver("INBOX", &mail(1, "The pelican", "The pelican landed on the pier."));
    mails.deliver("INBOX", &mail(2, "Ein Preis", "Ein Preis für den Kormoran."));
    mails.deliver("Entw&APw-rfe", &mail(3, "A draft", "A draft about the lighthouse."));
    let server = home.serve();
    let made = add(&home, &mails, "tls", &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    is_done(&run(&home), 3);
    let ledger = server.settle();
    assert_eq!((&ledger["indexed"], &ledger["received"]), (&json!(3), &json!(3)), "{ledger:#}");
    assert!(sources(&home.search("pelican", "keyword"))[0].starts_with("mail/INBOX/"));
    assert!(sources(&home.search("lighthouse", "keyword"))[0].starts_with("mail/Entwürfe/"));

    is_done(&run(&home), 0);
    mails.deliver("INBOX", &mail(4, "A fourth", "Somebody saw a heron."));
    is_done(&run(&home), 1);
    assert_eq!(server.settle()["received"], 4);

    // The server numbers its mails anew: none is taken in again, and a new one is.
    for folder in &mut mails.state().folders {
        folder.validity = 99;
        for (uid, _) in &mut folder.mails {
            *uid += 1000;
        }
    }
    mails.deliver("INBOX", &mail(5, "A fifth", "Somebody saw a gannet."));
    let renumbered = run(&home);
    is_done(&renumbered, 1);
    assert_eq!(renumbered["moved"], 4, "{renumbered:#}");
    assert_eq!(server.settle()["received"], 5);
    is_done(&run(&home), 0);

    let asked = mails.state().asked.clone();
    for verb in ["SELECT", "STORE", "EXPUNGE", "COPY", "DELETE", "APPEND"] {
        assert!(!asked.iter().any(|asked| asked.contains(verb)), "{asked:?}");
    }
    assert!(!asked.iter().any(|asked| asked.contains("BODY[")), "{asked:?}");
    let shown = home.run(&["source", "show", "demo", "mail", "--json"]);
    let trail = home.run(&["audit", "list", "demo", "--json"]);
    for text in [shown, trail, server.log()] {
        assert!(!text.contains("cret\\"), "the password is shown");
    }
}

#[test]
fn starttls_and_chosen_folders_work_and_a_wrong_password_is_said() {
    let (home, mails) = (home(), MailServer::start(Security::Starttls));
    mails.deliver("INBOX", &mail(1, "Wanted", "A mail that is wanted."));
    mails.deliver("Trash", &mail(2, "Unwanted", "A mail that nobody wants."));
    let server = home.serve();
    let folders = ["--folder", "inbox", "--folder", "Absent"];
    assert!(add(&home, &mails, "starttls", &folders).status.success());
    let read = run(&home);
    assert_eq!((&read["new"], &read["failed"]), (&json!(1), &json!(1)), "{read:#}");
    assert_eq!(read["problems"][0]["path"], "Absent");
    assert_eq!(mails.state().asked[0], "STARTTLS");
    server.settle();

    home.run(&["source", "remove", "demo", "mail"]);
    assert!(
        add_to(&home, mails.port, &mails.certificate, "starttls", "wrong", &[]).status.success()
    );
    let refused = run(&home);
    assert_eq!(refused["outcome"], "failed");
    let said = refused["error"].as_str().unwrap();
    assert!(said.contains("refused the sign-in") && !said.contains("\"wrong\""), "{said}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_and_a_host_that_nobody_allowed_are_refused() {
    let (home, mails) = (home(), MailServer::start(Security::Tls));
    let other = MailServer::start(Security::Tls);
    mails.deliver("INBOX", &mail(1, "A mail", "A mail."));
    let _server = home.serve();
    // The certificate of another server is given.
    assert!(add_to(&home, mails.port, &other.certificate, "tls", PASSWORD, &[]).status.success());
    let read = run(&home);
    assert_eq!(read["outcome"], "failed", "{read:#}");
    assert!(read["error"].as_str().unwrap().contains("no trust"), "{read:#}");
    assert!(!mails.state().asked.iter().any(|asked| asked == "LOGIN"));

    let closed = Home::new();
    let output = add(&closed, &mails, "tls", &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = said + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("allowed_hosts"), "{said}");
}

#[test]
fn a_connection_that_breaks_off_and_a_server_that_lies_double_and_lose_nothing() {
    let (home, mails) = (home(), MailServer::start(Security::Plain));
    for number in 0..5 {
        let text = format!("Mail number {number} of five.");
        mails.deliver("INBOX", &mail(number, "One of five", &text));
    }
    home.run(&["tenant", "tier", "demo", "--limit", "upload_bytes=1000000"]);
    let server = home.serve();
    assert!(add(&home, &mails, "plain", &[]).status.success());
    mails.state().break_off = Some(100);
    let broken = run(&home);
    assert_eq!(broken["outcome"], "failed", "{broken:#}");
    // Longer than anything may be, and really sent so.
    mails.state().announce = Some(3 << 20);
    let long = run(&home);
    assert_eq!((&long["new"], &long["failed"]), (&json!(4), &json!(1)), "{long:#}");
    // Announced as endless and then cut off.
    mails.state().announce = Some(u64::MAX);
    mails.state().break_off = Some(10);
    run(&home);
    is_done(&run(&home), 1);
    let ledger = server.settle();
    assert_eq!((&ledger["received"], &ledger["indexed"]), (&json!(5), &json!(5)), "{ledger:#}");
    // Expunged before it could be read.
    mails.deliver("INBOX", &mail(9, "Short-lived", "This one goes at once."));
    mails.state().break_off = Some(1);
    run(&home);
    mails.state().folders[0].mails.pop();
    is_done(&run(&home), 0);
}

#[test]
fn hostile_greetings_end_the_run_and_nothing_else() {
    let (home, mails) = (home(), MailServer::start(Security::Plain));
    let server = home.serve();
    assert!(add(&home, &mails, "plain", &[]).status.success());
    let endless = vec![b'x'; 4 << 20];
    for greeting in [b"* BYE go away\r\n".to_vec(), endless, b"\0\xff\r\n".to_vec()] {
        mails.state().greeting = Some(greeting);
        let read = run(&home);
        assert_eq!(read["outcome"], "failed", "{read:#}");
    }
    mails.state().greeting = None;
    is_done(&run(&home), 0);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
