//! Markers planted wherever a log line can hold them: none may come through.

use super::*;

const MARKER: &str = "Quetzalcoatl";

fn redactor() -> (Redactor, TenantId) {
    let tenant = TenantId::generate();
    let names = vec![format!("{MARKER}-tenant"), MARKER.to_owned(), "a.b".to_owned()];
    (Redactor::new("/srv/the data/cairn/", &[tenant], names), tenant)
}

#[test]
fn no_marker_comes_through() {
    let (mut redactor, tenant) = redactor();
    let lines = [
        format!(
            "WARN drop folder: /srv/the data/cairn/tenants/{tenant}/inbox/My {MARKER} list.txt: denied (os error 13)"
        ),
        format!(
            "WARN drop folder: /srv/the data/cairn/tenants/{tenant}/inbox/a: {MARKER}x: denied"
        ),
        format!("ERROR open /mnt/{MARKER} disk/model: {MARKER}s.onnx: not found (os error 2)"),
        format!("ERROR a tenant named \"x \\\" {MARKER}y\" is there already"),
        format!("ERROR a handler panicked: byte index 1 is inside 'é' of `é{MARKER}z"),
        format!(
            "INFO request{{method=GET path=/api/v1/tenants/{MARKER}q/documents/{MARKER} request_id=1}}: done"
        ),
        format!("INFO request{{method=GET path=/api/v1/tenants/search/{MARKER}w}}: done"),
        format!("INFO made {MARKER}-tenant and {MARKER}"),
        format!("INFO mail to {MARKER}1@example.org from 10.1.2.3 and [fe80::1]:443"),
        format!("INFO an unclosed \"{MARKER}2 name"),
    ];
    for line in &lines {
        let masked = redactor.text(line);
        assert!(!masked.contains(MARKER), "{masked}");
        assert!(!masked.contains(&tenant.to_string()), "{masked}");
        assert!(!masked.contains("/srv/") && !masked.contains("10.1.2.3"), "{masked}");
        assert!(!masked.contains("fe80"), "{masked}");
    }
    let masked = redactor.text(&lines[0]);
    assert_eq!(masked, "WARN drop folder: <home>/…/inbox/… (os error 13)");
    assert!(redactor.text(&lines[2]).ends_with("(os error 2)"));
}

#[test]
fn what_helps_stays() {
    let (mut redactor, tenant) = redactor();
    let document = TenantId::generate();
    let kept = [
        ("INFO serving on http://127.0.0.1:8420", "INFO serving on http://127.0.0.1:8420"),
        (
            "INFO request{method=GET path=/api/v1/tenants/search/search request_id=7}: started",
            "INFO request{method=GET path=/api/v1/tenants/*/search request_id=7}: started",
        ),
        ("WARN took 3 / 4 of a.bc and not a.b", "WARN took 3 / 4 of a.bc and not <name>"),
    ];
    for (line, expected) in kept {
        assert_eq!(redactor.text(line), expected);
    }
    let line = format!(
        "ERROR open catalogue /srv/the data/cairn/tenants/{tenant}/tenant.db: database disk image is malformed document={document} again={document}"
    );
    assert_eq!(
        redactor.text(&line),
        "ERROR open catalogue <home>/tenants/tenant-1/tenant.db: database disk image is malformed \
         document=id-2 again=id-2"
    );
}

#[test]
fn a_log_is_cut_to_its_last_lines_and_lines_without_a_time_go() {
    let (mut redactor, _) = redactor();
    let text = format!(
        "2026-01-01T00:00:00.000001Z  INFO first\n2026-01-01T00:00:01.000001Z  INFO second\n\
         {MARKER} on a line of its own\n\
         {{\"timestamp\":\"2026-01-01T00:00:02.5Z\",\"level\":\"INFO\",\"fields\":{{\"message\":\"made {MARKER} \\\"{MARKER}3\\\"\"}}}}\n"
    );
    let log = redactor.log(&text, 3);
    assert!(!log.contains("first") && !log.contains(MARKER), "{log}");
    assert!(log.starts_with("2026-01-01T00:00:01.000001Z  INFO second\n"), "{log}");
    assert!(log.contains("\"timestamp\":\"2026-01-01T00:00:02.5Z\""), "{log}");
    assert_eq!(log.lines().count(), 2);
}
